/** Who may stand at the seam of kvm/io/faults.ts: one that fails chosen calls, one that keeps the writes. */
import type { Fault, IoCall, IoFaults, IoRequest } from '../../vmm-core/kvm/io/faults.ts';

/** The n-th call of a kind (from 1) gets this fault; others are let through. */
export class PlannedFaults implements IoFaults {
  readonly seen: Record<IoCall, number> = {
    read: 0,
    write: 0,
    sync: 0,
    fallocate: 0,
    truncate: 0,
    submit: 0,
    socket: 0,
    bind: 0,
    connect: 0,
    listen: 0,
    accept: 0,
    send: 0,
    sendTo: 0,
    receive: 0,
  };
  readonly #plan: (request: IoRequest, nth: number) => Fault | undefined;

  constructor(plan: (request: IoRequest, nth: number) => Fault | undefined) {
    this.#plan = plan;
  }

  before(request: IoRequest): Fault | undefined {
    return this.#plan(request, ++this.seen[request.call]);
  }

  after(): void {}
}

/** `{ write: { 3: { errno: EIO } } }`: the third write fails. */
export function nthFaults(faults: Partial<Record<IoCall, Readonly<Record<number, Fault>>>>): PlannedFaults {
  return new PlannedFaults(({ call }, nth) => faults[call]?.[nth]);
}

/** One thing that has changed a file, or made changes last. */
export type Recorded =
  | { readonly kind: 'write'; readonly fd: number; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'sync'; readonly fd: number }
  | { readonly kind: 'truncate'; readonly fd: number; readonly lengthBytes: number }
  | {
      readonly kind: 'fallocate';
      readonly fd: number;
      readonly mode: number;
      readonly offset: number;
      readonly lengthBytes: number;
    };

/**
 * In the order in which they were over. A sync makes those last that were over before it began; `log` has
 * them before it, and those that were over while it was under way after it.
 */
export class IoRecorder implements IoFaults {
  readonly log: Recorded[] = [];
  /** Of each sync under way: where the log was when it began. */
  readonly #syncs = new Map<IoRequest, number>();
  readonly #inner: IoFaults | undefined;

  /** `inner` may fail what is recorded. */
  constructor(inner?: IoFaults) {
    this.#inner = inner;
  }

  before(request: IoRequest): Fault | undefined {
    if (request.call === 'sync') this.#syncs.set(request, this.log.length);
    return this.#inner?.before(request);
  }

  after(request: IoRequest, result: number): void {
    this.#inner?.after(request, result);
    const began = this.#syncs.get(request);
    this.#syncs.delete(request);
    if (result < 0) return;
    const { fd, offset, lengthBytes, mode = 0 } = request;
    if (request.call === 'write')
      this.log.push({ kind: 'write', fd, offset, bytes: request.bytes?.().subarray(0, result) ?? EMPTY });
    if (request.call === 'truncate') this.log.push({ kind: 'truncate', fd, lengthBytes: offset });
    if (request.call === 'fallocate') this.log.push({ kind: 'fallocate', fd, mode, offset, lengthBytes });
    if (began !== undefined) this.#insertSync(began, fd);
  }

  #insertSync(at: number, fd: number): void {
    this.log.splice(at, 0, { kind: 'sync', fd });
    for (const [request, began] of this.#syncs) if (began >= at) this.#syncs.set(request, began + 1);
  }
}

const EMPTY = new Uint8Array(0);

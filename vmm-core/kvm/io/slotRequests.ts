/**
 * The requests that an engine has under way, one a slot, and when one is over: that is the same for every
 * engine. Plain arrays: nothing is allocated per request.
 */
import { EAGAIN, ECANCELED, EINTR, EIO } from '../errno.ts';
import { injectedFaults, type IoCall, type IoRequest } from './faults.ts';
import type { IovecTable } from './iovecTable.ts';

/** What a slot is about. */
export const REQUEST = { READ: 0, WRITE: 1, SYNC: 2 } as const;
export type Request = (typeof REQUEST)[keyof typeof REQUEST];

const CALLS: readonly IoCall[] = ['read', 'write', 'sync'];
/** A file that says EAGAIN for ever is broken; it shall not keep a processor busy. */
const MAX_TRIES = 64;

export class SlotRequests {
  readonly request: Uint8Array;
  readonly fd: Int32Array;
  /** Where in the file it goes on. */
  readonly offset: Float64Array;
  /** Once it is over: as IoEvents.onDone has it. */
  readonly result: Float64Array;
  readonly #iovecs: IovecTable;
  readonly #transferred: Float64Array;
  readonly #tries: Uint8Array;
  /** Only under faults: what was announced, and how much of it is to be done. */
  readonly #announced = new Map<number, IoRequest>();
  readonly #limits = new Map<number, number>();

  constructor(slots: number, iovecs: IovecTable) {
    this.#iovecs = iovecs;
    this.request = new Uint8Array(slots);
    this.fd = new Int32Array(slots);
    this.offset = new Float64Array(slots);
    this.result = new Float64Array(slots);
    this.#transferred = new Float64Array(slots);
    this.#tries = new Uint8Array(slots);
  }

  begin(slot: number, request: Request, fd: number, offset: number): void {
    this.request[slot] = request;
    this.fd[slot] = fd;
    this.offset[slot] = offset;
    this.#transferred[slot] = 0;
    this.#tries[slot] = 0;
  }

  /**
   * Each time before the kernel is asked; `settle` must follow. 0: ask it for no more than `segments` and
   * `firstBytes` say. Otherwise a test has it fail with this.
   */
  announce(slot: number): number {
    const faults = injectedFaults();
    if (faults === undefined) return 0;
    const request = this.#describe(slot);
    this.#announced.set(slot, request);
    const fault = faults.before(request);
    if (fault === undefined) return 0;
    if ('errno' in fault) return -fault.errno;
    this.#limits.set(slot, fault.shortBytes);
    return 0;
  }

  segments(slot: number): number {
    return this.#limits.size > 0 && this.#limits.has(slot) ? 1 : this.#iovecs.count(slot);
  }

  firstBytes(slot: number): number {
    const bytes = this.#iovecs.firstBytes(slot);
    return this.#limits.size > 0 ? Math.min(bytes, this.#limits.get(slot) ?? bytes) : bytes;
  }

  /** The kernel's answer. True: it is to be asked again; false: this is over, see `result`. */
  settle(slot: number, answer: number): boolean {
    if (this.#announced.size > 0) this.#tellFaults(slot, answer);
    if (answer < 0) return this.#settleError(slot, answer);
    const request = this.request[slot];
    if (request === REQUEST.SYNC) return this.#finish(slot, 0);
    const transferred = (this.#transferred[slot] ?? 0) + answer;
    if (answer >= this.#iovecs.lengthBytes(slot)) return this.#finish(slot, transferred);
    // A read that gets nothing is at the file's end; a write cannot be.
    if (answer === 0) return this.#finish(slot, request === REQUEST.READ ? transferred : -EIO);
    this.#transferred[slot] = transferred;
    this.#tries[slot] = 0;
    this.offset[slot] = (this.offset[slot] ?? 0) + answer;
    this.#iovecs.consume(slot, answer);
    return true;
  }

  #settleError(slot: number, answer: number): boolean {
    const tries = (this.#tries[slot] ?? 0) + 1;
    const isPassing = answer === -EINTR || answer === -EAGAIN || answer === -ECANCELED;
    if (!isPassing || tries > MAX_TRIES) return this.#finish(slot, answer);
    this.#tries[slot] = tries;
    return true;
  }

  #finish(slot: number, result: number): false {
    this.result[slot] = result;
    return false;
  }

  #describe(slot: number): IoRequest {
    const request = this.request[slot] ?? 0;
    return {
      call: CALLS[request] ?? 'read',
      fd: this.fd[slot] ?? -1,
      offset: this.offset[slot] ?? 0,
      lengthBytes: request === REQUEST.SYNC ? 0 : this.#iovecs.lengthBytes(slot),
      ...(request === REQUEST.WRITE ? { bytes: () => this.#iovecs.copy(slot) } : {}),
    };
  }

  #tellFaults(slot: number, answer: number): void {
    const request = this.#announced.get(slot);
    if (request === undefined) return;
    this.#announced.delete(slot);
    this.#limits.delete(slot);
    injectedFaults()?.after(request, answer);
  }
}

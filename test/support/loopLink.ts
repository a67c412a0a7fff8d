/**
 * A link without a host: what the guest sends is kept for the test, or comes back to it; what the test
 * delivers waits for room.
 */
import type { LinkCode } from '../../vmm-core/backends/net/linkKind.ts';
import type {
  GuestFrame,
  GuestPort,
  LinkReport,
  NetLink,
  Offload,
} from '../../vmm-core/backends/net/netLink.ts';
import type { PairServer } from '../../vmm-core/backends/net/pairServer.ts';

export const NO_OFFLOAD: Offload = {
  flags: 0,
  gsoType: 0,
  hdrLen: 0,
  gsoSize: 0,
  csumStart: 0,
  csumOffset: 0,
};

export interface SentFrame {
  readonly bytes: Uint8Array;
  readonly head: Uint8Array;
  readonly offload: Offload;
  readonly pair: number;
}

interface Waiting {
  readonly bytes: Uint8Array;
  readonly offload: Offload;
  readonly pair: number | undefined;
}

export class LoopLink implements NetLink {
  readonly port: GuestPort;
  readonly pairServer: PairServer | undefined;
  readonly sent: SentFrame[] = [];
  /** What was called, but for `send`. */
  readonly calls: string[] = [];
  readonly messages: unknown[] = [];
  /** Each frame comes back. */
  isEcho = false;
  isPaused = false;
  readonly #waiting: Waiting[] = [];

  constructor(port: GuestPort, pairServer?: PairServer) {
    this.port = port;
    this.pairServer = pairServer;
  }

  /** Main's side and this. `attached` gets each link. */
  static code(attached: (link: LoopLink) => void, pairServer?: PairServer): LinkCode {
    return {
      open: () => ({ opened: undefined, close: () => undefined }),
      attach: (_, port) => {
        const link = new LoopLink(port, pairServer);
        attached(link);
        return link;
      },
    };
  }

  /** To the guest, as soon as there is room. */
  deliver(bytes: Uint8Array, offload: Offload = NO_OFFLOAD, pair?: number): void {
    this.#waiting.push({ bytes, offload, pair });
    this.#flush();
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  send(frame: GuestFrame, pair: number): void {
    const bytes = new Uint8Array(frame.lengthBytes);
    frame.copyTo(bytes, 0);
    const head = frame.head.slice(0, frame.headBytes);
    this.sent.push({ bytes, head, offload: { ...frame.offload }, pair });
    if (this.isEcho) this.deliver(bytes, { ...frame.offload }, pair);
  }

  onSent(): void {
    this.calls.push('onSent');
  }

  onRoom(): void {
    this.calls.push('onRoom');
    this.#flush();
  }

  onCut(): void {
    this.calls.push('onCut');
  }

  onReady(): void {
    this.calls.push('onReady');
  }

  onTimer(): void {
    this.calls.push('onTimer');
  }

  onOffloads(): void {
    this.calls.push('onOffloads');
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  onMessage(message: unknown): void {
    this.messages.push(message);
  }

  reset(): void {
    this.calls.push('reset');
    this.#waiting.length = 0;
  }

  report(): LinkReport {
    return { frames: this.sent.length };
  }

  close(): void {
    this.calls.push('close');
  }

  #flush(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const { bytes, offload, pair } = next;
      if (!this.port.reserve(bytes.length, pair ?? this.port.pairOf(bytes))) return;
      this.#waiting.shift();
      // In two parts: a frame may be written in any.
      const cut = Math.min(bytes.length, 20);
      this.port.write(0, bytes.subarray(0, cut));
      if (cut < bytes.length) this.port.write(cut, bytes.subarray(cut));
      this.port.commit(bytes.length, offload);
    }
  }
}

/**
 * What was typed into one UART and the guest has not read yet. The device takes it in bursts, at the speed of
 * a serial line; a guest that waits for an interrupt does nothing that would move the next one, so a timer
 * here does, and only while something waits. Main thread.
 */
import type { ByteRing } from '../../bus/byteRing.ts';
import { log } from '../../log.ts';

/** The device's side: see Uart16550.receive(). */
export interface Receiver {
  receive(): number;
}

export const MAX_TYPED_BYTES = 1 << 20; // a pasted file, not a leak
/** About a burst's time. */
const SHORTEST_MS = 1;
/** A guest that reads nothing is looked at ever less often. */
const LONGEST_MS = 128;

export class SerialInput {
  readonly #name: string;
  readonly #uart: Receiver;
  readonly #ring: ByteRing;
  /** Behind what is in the ring. */
  #waiting: Uint8Array = new Uint8Array();
  #timer: NodeJS.Timeout | undefined;
  #delayMs = SHORTEST_MS;
  #unread = 0;

  /** `name` is the log tag; `ring` is the device's input, of which this is the producer. */
  constructor(name: string, uart: Receiver, ring: ByteRing) {
    this.#name = name;
    this.#uart = uart;
    this.#ring = ring;
  }

  /** False: too much waits already, nothing of `bytes` was taken. */
  type(bytes: Uint8Array): boolean {
    if (this.#waiting.length + bytes.length > MAX_TYPED_BYTES) {
      log.guest(this.#name, 'input dropped: the guest does not read it', { bytes: bytes.length });
      return false;
    }
    this.#waiting = this.#waiting.length === 0 ? bytes : Buffer.concat([this.#waiting, bytes]);
    this.#feed();
    return true;
  }

  #feed(): void {
    this.#waiting = this.#waiting.subarray(this.#ring.pushAll(this.#waiting));
    const inFifo = this.#uart.receive();
    clearTimeout(this.#timer);
    if (this.#ring.length === 0) return;
    const unread = this.#waiting.length + this.#ring.length + inFifo;
    const isStuck = inFifo > 0 && unread === this.#unread;
    this.#delayMs = isStuck ? Math.min(2 * this.#delayMs, LONGEST_MS) : SHORTEST_MS;
    this.#unread = unread;
    this.#timer = setTimeout(() => this.#feed(), this.#delayMs);
    this.#timer.unref();
  }
}

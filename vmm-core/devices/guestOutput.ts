/**
 * The sending end of an output ring, for devices the guest prints through (UART, debugcon). Runs on the vCPU thread.
 * When the host falls behind, the guest is slowed down; when the host reads nothing at all for OUTPUT_WAIT_MS, bytes are
 * dropped (and counted) until it reads again, so that a dead reader cannot make a guest crawl at a byte per second.
 */
import type { ByteRing } from '../bus/byteRing.ts';
import { log } from '../log.ts';

export const OUTPUT_WAIT_MS = 1000;

export interface GuestOutputOptions {
  /** The log tag. */
  readonly name: string;
  readonly ring: ByteRing;
  /** Wakes the consumer: called once per drain(), on the producing thread. */
  readonly onOutput: () => void;
  readonly waitMs?: number;
}

export class GuestOutput {
  readonly #options: GuestOutputOptions;
  readonly #waitMs: number;
  #stalled = false;

  constructor(options: GuestOutputOptions) {
    this.#options = options;
    this.#waitMs = options.waitMs ?? OUTPUT_WAIT_MS;
  }

  /** With the device's lock held (it makes the producers one). False: full; release the lock, waitForSpace(), try again. */
  push(byte: number): boolean {
    const { ring, onOutput } = this.#options;
    if (!ring.push(byte)) return false;
    this.#stalled = false;
    if (ring.takeWakeup()) onOutput();
    return true;
  }

  /** Without the device's lock. False: give the byte up. */
  waitForSpace(): boolean {
    if (!this.#stalled && this.#options.ring.waitForSpace(this.#waitMs)) return true;
    this.#stalled = true;
    log.guest(this.#options.name, 'output dropped: the host does not read it');
    return false;
  }
}

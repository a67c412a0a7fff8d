/**
 * What a guest prints into our log, at its debug console or its firmware's: as much as a person can read,
 * then a count. One call site, so log.guest() with its few lines would be too strict for a kernel's boot
 * messages; here bytes are what is limited.
 */
import { type Log, log as processLog } from '../log.ts';

/** Per window. A line costs more than its bytes: a guest may print one byte at a time. */
export const GUEST_TEXT_BYTES = 64 * 1024;
export const GUEST_TEXT_WINDOW_MS = 5000;
const LINE_COST_BYTES = 100;

export class GuestText {
  readonly #tag: string;
  readonly #log: Log;
  readonly #nowMs: () => number;
  #windowStartMs = -Infinity;
  #leftBytes = 0;
  #droppedBytes = 0;

  constructor(tag: string, log: Log = processLog, nowMs: () => number = () => performance.now()) {
    this.#tag = tag;
    this.#log = log;
    this.#nowMs = nowMs;
  }

  write(bytes: Uint8Array): void {
    const now = this.#nowMs();
    if (now - this.#windowStartMs >= GUEST_TEXT_WINDOW_MS) {
      this.#windowStartMs = now;
      this.#leftBytes = GUEST_TEXT_BYTES;
    }
    const room = Math.max(0, this.#leftBytes - LINE_COST_BYTES);
    const kept = bytes.subarray(0, room);
    const droppedBefore = this.#droppedBytes;
    this.#droppedBytes += bytes.length - kept.length;
    if (kept.length === 0) return;
    this.#leftBytes = room - kept.length;
    this.#droppedBytes -= droppedBefore;
    const values = droppedBefore === 0 ? undefined : { droppedBytesBefore: droppedBefore };
    this.#log.info(this.#tag, Buffer.from(kept).toString('latin1'), values);
  }
}

/** What one service has of the I/O thread: its share of the engine's slots, and a timer. */
import type { IoEngine } from '../bus/ioEngine.ts';
import type { Poller } from '../bus/poller.ts';
import type { IoSlots } from '../devices/deviceService.ts';

type OnReady = (tag: number, events: number) => void;

export class ServiceIo implements IoSlots {
  readonly engine: IoEngine;
  /** A stack. */
  readonly #free: Int32Array;
  #freeCount: number;
  /** Somebody went without. */
  #isWanted = false;
  #dueMs = Infinity;
  readonly #onReady: OnReady;
  #poller: Poller | undefined;

  /**
   * Of the engine's slots those from `first` on: what each may use is its own, so that none starves.
   * `onReady`: of its poller.
   */
  constructor(engine: IoEngine, first: number, count: number, onReady: OnReady) {
    this.engine = engine;
    this.#onReady = onReady;
    this.#free = Int32Array.from({ length: count }, (_, i) => first + count - 1 - i);
    this.#freeCount = count;
  }

  takeSlot(): number {
    if (this.#freeCount === 0) {
      this.#isWanted = true;
      return -1;
    }
    return this.#free[--this.#freeCount] ?? -1;
  }

  giveSlot(slot: number): void {
    this.#free[this.#freeCount++] = slot;
  }

  arm(delayMs: number): void {
    this.#dueMs = Math.min(this.#dueMs, performance.now() + delayMs);
  }

  get poller(): Poller {
    return (this.#poller ??= this.engine.openPoller(this.#onReady));
  }

  /** Infinity: never. */
  get dueMs(): number {
    return this.#dueMs;
  }

  /** True once for each time that is due. */
  takeTimer(nowMs: number): boolean {
    if (nowMs < this.#dueMs) return false;
    this.#dueMs = Infinity;
    return true;
  }

  /** True once when there is a slot again after there was none. */
  takeSlotNews(): boolean {
    if (!this.#isWanted || this.#freeCount === 0) return false;
    this.#isWanted = false;
    return true;
  }
}

/** What one service has of the I/O thread: its share of the engine's slots, and a timer. */
import type { IoEngine } from '../bus/ioEngine.ts';
import type { Poller } from '../bus/poller.ts';
import type { IoSlots } from '../devices/deviceService.ts';

type OnReady = (tag: number, events: number) => void;

export interface ServiceShare {
  /** Of the engine's slots those from here on: what each may use is its own, so that none starves. */
  readonly firstSlot: number;
  readonly slots: number;
  /** The engine watches the first under this tag, and so on. */
  readonly firstTag: number;
  readonly doorbellFds: readonly number[];
  /** Of its poller. */
  readonly onReady: OnReady;
}

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
  readonly #firstTag: number;
  readonly #doorbellFds: readonly number[];

  constructor(engine: IoEngine, { firstSlot, slots, firstTag, doorbellFds, onReady }: ServiceShare) {
    this.engine = engine;
    this.#onReady = onReady;
    this.#free = Int32Array.from({ length: slots }, (_, i) => firstSlot + slots - 1 - i);
    this.#freeCount = slots;
    this.#firstTag = firstTag;
    this.#doorbellFds = doorbellFds;
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

  lendDoorbell(doorbell: number): number {
    this.engine.unwatch(this.#firstTag + doorbell);
    return this.#doorbellFd(doorbell);
  }

  takeBackDoorbell(doorbell: number): void {
    this.engine.watch(this.#firstTag + doorbell, this.#doorbellFd(doorbell));
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

  #doorbellFd(doorbell: number): number {
    const fd = this.#doorbellFds[doorbell];
    if (fd === undefined) throw new RangeError(`no doorbell ${doorbell}`);
    return fd;
  }
}

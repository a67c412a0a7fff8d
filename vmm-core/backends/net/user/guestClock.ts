/**
 * Time as the guest lives it: it stands while the VM is paused, so that nothing is late, unused or silent for
 * that alone. In milliseconds.
 */
export class GuestClock {
  /** Of performance.now(): when it began, without the pauses since. */
  #startMs = 0;
  /** Undefined: it goes. */
  #stoppedMs: number | undefined;

  get nowMs(): number {
    return this.#stoppedMs ?? performance.now() - this.#startMs;
  }

  get isStopped(): boolean {
    return this.#stoppedMs !== undefined;
  }

  stop(): void {
    this.#stoppedMs ??= this.nowMs;
  }

  start(): void {
    if (this.#stoppedMs === undefined) return;
    this.#startMs = performance.now() - this.#stoppedMs;
    this.#stoppedMs = undefined;
  }
}

/** How fast counters of a report grow. */

export class Rates {
  #ms: number;
  #totals: readonly number[] = [];

  /** `nowMs`: since when the counters count. */
  constructor(nowMs: number) {
    this.#ms = nowMs;
  }

  /** Of each per second since the call before. A counter that has begun again counts from 0. */
  since(nowMs: number, totals: readonly number[]): number[] {
    const seconds = Math.max(0.001, (nowMs - this.#ms) / 1000);
    const rates = totals.map((total, i) => {
      const before = this.#totals[i] ?? 0;
      return Math.round((total < before ? total : total - before) / seconds);
    });
    this.#ms = nowMs;
    this.#totals = totals;
    return rates;
  }
}

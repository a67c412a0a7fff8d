/** How fast counters of a report grow. */

/** Reports that come faster than this, as those of several watchers, tell of the same time. */
const LEAST_MS = 500;

interface Sample {
  readonly ms: number;
  readonly totals: readonly number[];
}

export class Rates {
  /** What rates are since: at least LEAST_MS before `#last`. */
  #before: Sample;
  #last: Sample;

  /** `nowMs`: since when the counters count. */
  constructor(nowMs: number) {
    this.#before = this.#last = { ms: nowMs, totals: [] };
  }

  /** Of each per second, since a call that is as long ago. A counter that began again counts from 0. */
  of(nowMs: number, totals: readonly number[]): number[] {
    if (nowMs - this.#last.ms >= LEAST_MS) {
      this.#before = this.#last;
      this.#last = { ms: nowMs, totals };
    }
    const seconds = Math.max(0.001, (nowMs - this.#before.ms) / 1000);
    return totals.map((total, i) => {
      const before = this.#before.totals[i] ?? 0;
      return Math.round((total < before ? total : total - before) / seconds);
    });
  }
}

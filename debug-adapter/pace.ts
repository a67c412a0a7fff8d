/** Long work in slices: other requests are answered between them, and `cancel` ends it. */

/** An editor notices delays from about 50 ms on. */
const SLICE_MS = 15;

/** The request was cancelled: its answer says that, and nothing else. */
export class Cancelled extends Error {
  constructor() {
    super('cancelled'); // DAP's word for it
    this.name = 'Cancelled';
  }
}

export class Pace {
  readonly #signal: AbortSignal | undefined;
  #sliceEnd = performance.now() + SLICE_MS;

  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /** To be awaited between small pieces of work. Throws Cancelled. */
  async turn(): Promise<void> {
    if (performance.now() >= this.#sliceEnd) {
      await new Promise((resolve) => setImmediate(resolve));
      this.#sliceEnd = performance.now() + SLICE_MS;
    }
    if (this.#signal?.aborted === true) throw new Cancelled();
  }
}

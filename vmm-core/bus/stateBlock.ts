/**
 * A device's registers: named integer cells in shared memory, with a lock. The same bytes back the device in every
 * thread, so a device object is only behaviour; a snapshot of the device is a copy of the block.
 * Word 0 is the lock, then one 32-bit word per field, in the order of `fields`.
 */
export class StateBlock<F extends string> {
  /** Bytes needed for a block with `n` fields. */
  static sizeBytes(fields: number): number {
    return 4 * (1 + fields);
  }

  readonly #words: Int32Array;
  readonly #index: ReadonlyMap<F, number>;

  constructor(fields: readonly F[], buffer: SharedArrayBuffer, offset = 0) {
    this.#words = new Int32Array(buffer, offset, 1 + fields.length);
    this.#index = new Map(fields.map((field, i) => [field, 1 + i]));
  }

  /** Unsigned 32-bit. */
  get(field: F): number {
    return Atomics.load(this.#words, this.#slot(field)) >>> 0;
  }

  set(field: F, value: number): void {
    Atomics.store(this.#words, this.#slot(field), value | 0);
  }

  /** Runs `body` with the block's lock held. Not recursive. Short critical sections only: the main thread may wait here. */
  locked<R>(body: () => R): R {
    while (Atomics.compareExchange(this.#words, 0, FREE, HELD) !== FREE) {
      // A waiter marks the lock contended so that the holder knows to wake it.
      if (Atomics.exchange(this.#words, 0, CONTENDED) === FREE) break;
      Atomics.wait(this.#words, 0, CONTENDED);
    }
    try {
      return body();
    } finally {
      if (Atomics.exchange(this.#words, 0, FREE) === CONTENDED) Atomics.notify(this.#words, 0);
    }
  }

  #slot(field: F): number {
    const slot = this.#index.get(field);
    if (slot === undefined) throw new Error(`no field ${field}`);
    return slot;
  }
}

const FREE = 0;
const HELD = 1;
const CONTENDED = 2;

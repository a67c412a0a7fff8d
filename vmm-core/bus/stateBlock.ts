/**
 * A device's registers: named integer cells in shared memory, with a lock. The same bytes back the device in every
 * thread, so a device object is only behaviour; a snapshot of the device is a copy of the block.
 * Layout: word 0 is the lock, then one 32-bit word per field in the order of `fields`, then `extraBytes` (FIFOs, CMOS RAM).
 */

/** What a device class says about its block: `StateBlock.open(Uart16550, buffer, offset)`. */
export interface StateShape<F extends string> {
  readonly fields: readonly F[];
  readonly extraBytes?: number;
}

const FREE = 0;
const HELD = 1;
const CONTENDED = 2; // held, and somebody sleeps

export class StateBlock<F extends string> {
  /** Bytes needed for a block with `n` fields: a multiple of 8, so that blocks can be laid end to end. */
  static sizeBytes(fields: number, extraBytes = 0): number {
    return Math.ceil((4 * (1 + fields) + extraBytes) / 8) * 8;
  }

  static sizeOf(shape: StateShape<string>): number {
    return StateBlock.sizeBytes(shape.fields.length, shape.extraBytes);
  }

  static open<F extends string>(shape: StateShape<F>, buffer: SharedArrayBuffer, offset = 0): StateBlock<F> {
    return new StateBlock(shape.fields, buffer, offset, shape.extraBytes);
  }

  /** A block in memory of its own, for tests and for devices of one thread. */
  static allocate<F extends string>(shape: StateShape<F>): StateBlock<F> {
    return StateBlock.open(shape, new SharedArrayBuffer(StateBlock.sizeOf(shape)));
  }

  /**
   * The cells as properties: unsigned 32-bit when read, the low 32 bits kept when written. Plain loads and stores: the
   * lock orders them, and a reader without it (an inspector view of a running guest) never sees half a word, at worst an
   * old one. Writers hold the lock.
   */
  readonly regs: Record<F, number>;
  /** The bytes after the fields. With the lock held. */
  readonly extra: Uint8Array;
  readonly #words: Int32Array;

  constructor(fields: readonly F[], buffer: SharedArrayBuffer, offset = 0, extraBytes = 0) {
    this.#words = new Int32Array(buffer, offset, 1 + fields.length);
    this.extra = new Uint8Array(buffer, offset + 4 * (1 + fields.length), extraBytes);
    this.regs = cells(fields, this.#words);
  }

  /** By name, for code that goes through all fields. */
  get(field: F): number {
    return this.regs[field];
  }

  set(field: F, value: number): void {
    this.regs[field] = value;
  }

  /**
   * Runs `body` with the block's lock held. Not recursive. Short critical sections only: the main thread may wait here.
   * A thread waiting for anything else (room in a ring, another vCPU) must not hold it.
   */
  locked<R>(body: () => R): R {
    if (Atomics.compareExchange(this.#words, 0, FREE, HELD) !== FREE) this.#waitForLock();
    try {
      return body();
    } finally {
      if (Atomics.exchange(this.#words, 0, FREE) === CONTENDED) Atomics.notify(this.#words, 0, 1);
    }
  }

  /**
   * Takes the lock as CONTENDED, not HELD: other sleepers may be left behind us, and the unlock must wake one of them.
   * At worst that wakes nobody.
   */
  #waitForLock(): void {
    while (Atomics.exchange(this.#words, 0, CONTENDED) !== FREE) Atomics.wait(this.#words, 0, CONTENDED);
  }
}

/** An object with an accessor per field over `words`; word 0 is the lock. Three times as fast as a look-up by name. */
function cells<F extends string>(fields: readonly F[], words: Int32Array): Record<F, number> {
  const object = {};
  fields.forEach((field, i) => {
    Object.defineProperty(object, field, {
      enumerable: true,
      get: () => (words[1 + i] ?? 0) >>> 0,
      set: (value: number) => {
        words[1 + i] = value;
      },
    });
  });
  return Object.freeze(object) as Record<F, number>;
}

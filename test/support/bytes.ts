/**
 * A byte assembler for tests: every method appends and returns the assembler, so that a file format reads as
 * a list of its fields.
 */
export class Bytes {
  #buffer = new Uint8Array(64);
  #used = 0;
  readonly littleEndian: boolean;

  constructor(littleEndian = true) {
    this.littleEndian = littleEndian;
  }

  get length(): number {
    return this.#used;
  }

  u8(...values: number[]): this {
    for (const value of values) this.#put(1, (view, at) => view.setUint8(at, value));
    return this;
  }

  u16(...values: number[]): this {
    for (const value of values) this.#put(2, (view, at) => view.setUint16(at, value, this.littleEndian));
    return this;
  }

  u32(...values: number[]): this {
    for (const value of values) this.#put(4, (view, at) => view.setUint32(at, value, this.littleEndian));
    return this;
  }

  u64(...values: (number | bigint)[]): this {
    for (const value of values) {
      this.#put(8, (view, at) => view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), this.littleEndian));
    }
    return this;
  }

  /** An address or offset of 1, 2, 4 or 8 bytes. */
  word(sizeBytes: number, value: number | bigint): this {
    if (sizeBytes === 8) return this.u64(value);
    const low = Number(BigInt.asUintN(32, BigInt(value)));
    return sizeBytes === 4 ? this.u32(low) : sizeBytes === 2 ? this.u16(low) : this.u8(low);
  }

  uleb(...values: (number | bigint)[]): this {
    for (const value of values) {
      let rest = BigInt(value);
      do {
        const low = Number(rest & 0x7fn);
        rest >>= 7n;
        this.u8(rest === 0n ? low : low | 0x80);
      } while (rest !== 0n);
    }
    return this;
  }

  sleb(...values: (number | bigint)[]): this {
    for (const value of values) {
      let rest = BigInt(value);
      for (;;) {
        const low = Number(BigInt.asUintN(7, rest));
        rest >>= 7n;
        const done = (rest === 0n && low < 0x40) || (rest === -1n && low >= 0x40);
        this.u8(done ? low : low | 0x80);
        if (done) break;
      }
    }
    return this;
  }

  /** A string and its terminating NUL. */
  cstring(...texts: string[]): this {
    for (const text of texts) this.bytes(new TextEncoder().encode(text)).u8(0);
    return this;
  }

  bytes(...parts: (Uint8Array | readonly number[])[]): this {
    for (const part of parts) {
      this.#reserve(part.length);
      this.#buffer.set(part, this.#used);
      this.#used += part.length;
    }
    return this;
  }

  /** Zeros up to a multiple of `unit`. */
  align(unit: number): this {
    while (this.#used % unit !== 0) this.u8(0);
    return this;
  }

  /** Zeros up to `offset`. */
  padTo(offset: number): this {
    while (this.#used < offset) this.u8(0);
    return this;
  }

  /** Overwrites 4 bytes written before. */
  patch32(at: number, value: number): this {
    new DataView(this.#buffer.buffer).setUint32(at, value, this.littleEndian);
    return this;
  }

  /** A 4-byte length before what `fill` appends (DWARF's 32-bit unit_length). */
  sized(fill: (bytes: Bytes) => void): this {
    const inner = new Bytes(this.littleEndian);
    fill(inner);
    return this.u32(inner.length).bytes(inner.done());
  }

  done(): Uint8Array {
    return this.#buffer.slice(0, this.#used);
  }

  #put(sizeBytes: number, write: (view: DataView, at: number) => void): void {
    this.#reserve(sizeBytes);
    write(new DataView(this.#buffer.buffer), this.#used);
    this.#used += sizeBytes;
  }

  #reserve(sizeBytes: number): void {
    if (this.#used + sizeBytes <= this.#buffer.length) return;
    const larger = new Uint8Array(Math.max(this.#buffer.length * 2, this.#used + sizeBytes));
    larger.set(this.#buffer.subarray(0, this.#used));
    this.#buffer = larger;
  }
}

/** A small seeded generator (mulberry32), so that a fuzzer's failure can be run again. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

/**
 * A copy of `bytes` with a few of them overwritten, cut or repeated: enough to break any length or offset in
 * it.
 */
export function mutate(bytes: Uint8Array, random: () => number): Uint8Array {
  const copy = bytes.slice(0, random() < 0.2 ? Math.floor(random() * bytes.length) : bytes.length);
  const changes = 1 + Math.floor(random() * 8);
  for (let change = 0; change < changes && copy.length > 0; change++) {
    const at = Math.floor(random() * copy.length);
    const kind = random();
    if (kind < 0.4) copy[at] = Math.floor(random() * 256);
    else if (kind < 0.6) copy[at] = 0xff;
    else if (kind < 0.8) copy[at] = (copy[at] ?? 0) ^ (1 << Math.floor(random() * 8));
    else copy.fill(random() < 0.5 ? 0xff : 0, at, at + 8);
  }
  return copy;
}

/**
 * A single-producer single-consumer ring of bytes in shared memory: bytes cross between a vCPU thread and the main
 * thread without a message each. Several vCPUs may write one ring: they do so under the device's lock.
 * Layout: word 0 head (next write), word 1 tail (next read), both counting modulo 2^32; then `capacity` bytes.
 */
export class ByteRing {
  static sizeBytes(capacity: number): number {
    return 8 + capacity;
  }

  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #mask: number;

  /** `capacity` is a power of two. */
  constructor(buffer: SharedArrayBuffer, offset: number, capacity: number) {
    if (capacity <= 0 || (capacity & (capacity - 1)) !== 0) throw new RangeError('capacity is not a power of two');
    this.#words = new Uint32Array(buffer, offset, 2);
    this.#bytes = new Uint8Array(buffer, offset + 8, capacity);
    this.#mask = capacity - 1;
  }

  get length(): number {
    return (Atomics.load(this.#words, 0) - Atomics.load(this.#words, 1)) >>> 0;
  }

  get free(): number {
    return this.#bytes.length - this.length;
  }

  /** False when the ring is full: the byte is not stored. */
  push(byte: number): boolean {
    const head = Atomics.load(this.#words, 0);
    if ((head - Atomics.load(this.#words, 1)) >>> 0 === this.#bytes.length) return false;
    this.#bytes[head & this.#mask] = byte;
    Atomics.store(this.#words, 0, (head + 1) >>> 0); // after the byte: the consumer may look now
    return true;
  }

  /** The next byte, or undefined when empty. */
  shift(): number | undefined {
    const tail = Atomics.load(this.#words, 1);
    if (tail === Atomics.load(this.#words, 0)) return undefined;
    const byte = this.#bytes[tail & this.#mask];
    Atomics.store(this.#words, 1, (tail + 1) >>> 0);
    return byte;
  }

  /** Takes everything there is, as a copy. */
  drain(): Uint8Array {
    const tail = Atomics.load(this.#words, 1);
    const length = (Atomics.load(this.#words, 0) - tail) >>> 0;
    const out = new Uint8Array(length);
    for (let i = 0; i < length; i++) out[i] = this.#bytes[(tail + i) & this.#mask] ?? 0;
    Atomics.store(this.#words, 1, (tail + length) >>> 0);
    return out;
  }
}

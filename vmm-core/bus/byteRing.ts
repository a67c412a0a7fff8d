/**
 * A single-producer single-consumer ring of bytes in shared memory: bytes cross between a vCPU thread and the
 * main thread without a message each. Several vCPUs may write one ring: they do so under the device's lock.
 * Layout: the words below, then `capacity` bytes. Zeroed memory is an empty ring whose consumer wants to be
 * woken.
 */
const HEAD = 0; // next write, counting modulo 2^32; only the producer stores it
const TAIL = 1; // next read, likewise; only the consumer stores it
const CONSUMER_AWAKE = 2; // 0: the consumer has drained, the next byte must wake it
const PRODUCER_WAITS = 3; // 1: somebody sleeps in waitForSpace()
const HURRIED = 4; // 1: nobody may sleep in waitForSpace()
const HEADER_WORDS = 5;
/** How much longer than necessary a producer may sleep once it is hurried. */
const SLICE_MS = 50;

export class ByteRing {
  /** Header and bytes; a multiple of 4 for any capacity of at least 4. */
  static sizeBytes(capacity: number): number {
    return 4 * HEADER_WORDS + capacity;
  }

  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #mask: number;

  /** `capacity` is a power of two; `offset` a multiple of 4. */
  constructor(buffer: SharedArrayBuffer, offset: number, capacity: number) {
    if (capacity <= 0 || (capacity & (capacity - 1)) !== 0)
      throw new RangeError('capacity is not a power of two');
    this.#words = new Int32Array(buffer, offset, HEADER_WORDS);
    this.#bytes = new Uint8Array(buffer, offset + 4 * HEADER_WORDS, capacity);
    this.#mask = capacity - 1;
  }

  get capacity(): number {
    return this.#bytes.length;
  }

  /** Exact for the producer and the consumer; a snapshot for anybody else. */
  get length(): number {
    return (Atomics.load(this.#words, HEAD) - Atomics.load(this.#words, TAIL)) >>> 0;
  }

  get free(): number {
    return this.#bytes.length - this.length;
  }

  /**
   * Producer. False when fewer than `reserve` + 1 bytes are free: the byte is not stored. In a hurry the
   * reserve is used up too.
   */
  push(byte: number, reserve = 0): boolean {
    const head = Atomics.load(this.#words, HEAD);
    const used = (head - Atomics.load(this.#words, TAIL)) >>> 0;
    if (used >= this.#bytes.length - reserve && !this.#fitsHurried(used)) return false;
    this.#bytes[head & this.#mask] = byte;
    Atomics.store(this.#words, HEAD, (head + 1) | 0); // after the byte: the consumer may look now
    return true;
  }

  /** Producer. Stores as many of `bytes` as fit, from the first, and returns how many. */
  pushAll(bytes: Uint8Array): number {
    const head = Atomics.load(this.#words, HEAD);
    const used = (head - Atomics.load(this.#words, TAIL)) >>> 0;
    const count = Math.min(bytes.length, this.#bytes.length - used);
    const start = head & this.#mask;
    const first = Math.min(count, this.#bytes.length - start);
    this.#bytes.set(bytes.subarray(0, first), start);
    this.#bytes.set(bytes.subarray(first, count), 0);
    Atomics.store(this.#words, HEAD, (head + count) | 0);
    return count;
  }

  /**
   * Producer, after a push: true when the consumer must be told, once per drain(). The push comes first:
   * drain() says it is idle before it looks at the head, so of the two at least one sees the other.
   */
  takeWakeup(): boolean {
    if (Atomics.load(this.#words, CONSUMER_AWAKE) !== 0) return false;
    return Atomics.exchange(this.#words, CONSUMER_AWAKE, 1) === 0;
  }

  /**
   * Producer, with no lock held: sleeps until push() with that `reserve` has room. False when `timeoutMs`
   * passed without any, or the ring is full in a hurry. A vCPU thread waits here when the guest writes faster
   * than the host reads: slow beats lost.
   */
  waitForSpace(timeoutMs: number, reserve = 0): boolean {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      // before the look at the tail; the consumer stores the tail first
      Atomics.store(this.#words, PRODUCER_WAITS, 1);
      const tail = Atomics.load(this.#words, TAIL);
      const used = (Atomics.load(this.#words, HEAD) - tail) >>> 0;
      if (used < this.#bytes.length - reserve || this.#fitsHurried(used)) return true;
      if (this.#isHurried) return false;
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) return false;
      // In slices: `hurried` changes no word that the sleep could see, so a notification just before it is
      // lost.
      Atomics.wait(this.#words, TAIL, tail, Math.min(leftMs, SLICE_MS));
    }
  }

  /**
   * Any thread: while on, producers do not wait. Who pauses a vCPU cannot have it sleep until somebody reads
   * what the guest wrote; what it still has to write of its instruction goes into the reserve.
   */
  set hurried(on: boolean) {
    Atomics.store(this.#words, HURRIED, on ? 1 : 0);
    if (on) Atomics.notify(this.#words, TAIL);
  }

  get #isHurried(): boolean {
    return Atomics.load(this.#words, HURRIED) !== 0;
  }

  #fitsHurried(used: number): boolean {
    return used < this.#bytes.length && this.#isHurried;
  }

  /** Consumer. The next byte, or undefined when empty. */
  shift(): number | undefined {
    const tail = Atomics.load(this.#words, TAIL);
    if (tail === Atomics.load(this.#words, HEAD)) return undefined;
    const byte = this.#bytes[tail & this.#mask];
    this.#release(tail + 1);
    return byte;
  }

  /** Consumer. Takes everything there is, as a copy, and asks to be woken for what comes later. */
  drain(): Uint8Array {
    Atomics.store(this.#words, CONSUMER_AWAKE, 0); // before the head is read: see takeWakeup()
    const tail = Atomics.load(this.#words, TAIL);
    // A head further away than the capacity cannot be: the memory is ours. Clamped so that a bug cannot ask
    // for 4 GiB.
    const length = Math.min((Atomics.load(this.#words, HEAD) - tail) >>> 0, this.#bytes.length);
    const out = new Uint8Array(length);
    const start = tail & this.#mask;
    const first = Math.min(length, this.#bytes.length - start);
    out.set(this.#bytes.subarray(start, start + first));
    out.set(this.#bytes.subarray(0, length - first), first);
    if (length > 0) this.#release(tail + length);
    return out;
  }

  #release(tail: number): void {
    // after the bytes were read: the producer may overwrite them now
    Atomics.store(this.#words, TAIL, tail | 0);
    if (Atomics.load(this.#words, PRODUCER_WAITS) === 0) return;
    Atomics.store(this.#words, PRODUCER_WAITS, 0);
    Atomics.notify(this.#words, TAIL);
  }
}

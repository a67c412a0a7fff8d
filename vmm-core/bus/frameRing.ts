/**
 * A single-producer single-consumer ring of frames in memory that two processes share, which do not trust
 * each other: each keeps its own index, and checks whatever the other wrote before it goes by it. Layout: the
 * words below, each on a cache line of its own, then a page further on `capacity` bytes of records. A record
 * is its length (a word), the frame, and nothing up to a multiple of 8; it never wraps. Zeroed memory is an
 * empty ring.
 */
const HEAD = 0; // next write, counting modulo 2^32; only the producer stores it
const TAIL = 16; // next read, likewise; only the consumer stores it
const CONSUMER_WAITS = 32; // 1: the consumer sleeps, what comes next must wake it
const HEADER_WORDS = 48;
const DATA_OFFSET = 4096;

const RECORD_HEADER_BYTES = 4;
const ALIGNMENT = 8;
/** In place of a length: the rest up to the ring's end is nothing. */
const SKIP = 0xffff_ffff;

const NOTHING = new Uint8Array();

/** What a ring needs of memory. `capacity`: a power of two. */
export function frameRingBytes(capacity: number): number {
  return DATA_OFFSET + capacity;
}

interface Parts {
  readonly words: Int32Array;
  readonly lengths: Uint32Array;
  readonly data: Uint8Array;
}

function partsOf(memory: Uint8Array): Parts {
  const { buffer, byteOffset, length } = memory;
  const capacity = length - DATA_OFFSET;
  if (capacity <= 0 || (capacity & (capacity - 1)) !== 0)
    throw new RangeError('capacity is not a power of two');
  return {
    words: new Int32Array(buffer, byteOffset, HEADER_WORDS),
    lengths: new Uint32Array(buffer, byteOffset + DATA_OFFSET, capacity / 4),
    data: new Uint8Array(buffer, byteOffset + DATA_OFFSET, capacity),
  };
}

export class FrameWriter {
  readonly #words: Int32Array;
  readonly #lengths: Uint32Array;
  readonly #data: Uint8Array;
  #head = 0;
  /** Where the record that is being written begins. */
  #record = 0;
  #isBroken = false;

  /** `memory`: frameRingBytes of it, a multiple of 8. */
  constructor(memory: Uint8Array) {
    const { words, lengths, data } = partsOf(memory);
    this.#words = words;
    this.#lengths = lengths;
    this.#data = data;
  }

  /** The consumer has put its index where it cannot be: nothing is taken any more. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** Room for a frame, to be filled before `publish`. Undefined: the ring is full. */
  reserve(lengthBytes: number): Uint8Array | undefined {
    const capacity = this.#data.length;
    const size = recordBytes(lengthBytes);
    const used = (this.#head - Atomics.load(this.#words, TAIL)) >>> 0;
    if (used > capacity) this.#isBroken = true;
    if (this.#isBroken) return undefined;
    const at = this.#head & (capacity - 1);
    const rest = capacity - at;
    const skipped = size > rest ? rest : 0;
    if (size + skipped > capacity - used) return undefined;
    if (skipped > 0) this.#lengths[at / 4] = SKIP;
    this.#record = this.#head + skipped;
    const start = this.#record & (capacity - 1);
    this.#lengths[start / 4] = lengthBytes;
    return this.#data.subarray(start + RECORD_HEADER_BYTES, start + RECORD_HEADER_BYTES + lengthBytes);
  }

  /** What was reserved is there. True: the consumer sleeps and must be woken. */
  publish(lengthBytes: number): boolean {
    this.#head = (this.#record + recordBytes(lengthBytes)) | 0;
    Atomics.store(this.#words, HEAD, this.#head); // after the frame: the consumer may look now
    // After the head, which the consumer looks at once more after it has said that it waits.
    if (Atomics.load(this.#words, CONSUMER_WAITS) === 0) return false;
    return Atomics.exchange(this.#words, CONSUMER_WAITS, 0) === 1;
  }
}

export class FrameReader {
  readonly #words: Int32Array;
  readonly #lengths: Uint32Array;
  readonly #data: Uint8Array;
  readonly #maxFrameBytes: number;
  #tail = 0;
  #isBroken = false;

  constructor(memory: Uint8Array, maxFrameBytes: number) {
    const { words, lengths, data } = partsOf(memory);
    this.#words = words;
    this.#lengths = lengths;
    this.#data = data;
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** The producer has written what cannot be: the ring is empty from then on. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /**
   * The next frame, where it is: the producer may still write over it, so what is checked is to be copied
   * first. The same again until `release`. Empty: there is none.
   */
  peek(): Uint8Array {
    const capacity = this.#data.length;
    let ready = (Atomics.load(this.#words, HEAD) - this.#tail) >>> 0;
    if (ready === 0 || this.#isBroken) return NOTHING;
    if (ready > capacity) return this.#broke();
    let at = this.#tail & (capacity - 1);
    let length = this.#lengths[at / 4] ?? 0;
    if (length === SKIP && at !== 0 && capacity - at <= ready) {
      ready -= capacity - at;
      this.#advance(capacity - at);
      if (ready === 0) return NOTHING;
      at = 0;
      length = this.#lengths[0] ?? 0;
    }
    if (length === 0 || length > this.#maxFrameBytes) return this.#broke();
    if (recordBytes(length) > Math.min(ready, capacity - at)) return this.#broke();
    return this.#data.subarray(at + RECORD_HEADER_BYTES, at + RECORD_HEADER_BYTES + length);
  }

  /** Of a frame that `peek` gave, with its length: its place is the producer's again. */
  release(lengthBytes: number): void {
    this.#advance(recordBytes(lengthBytes));
  }

  /** True: there is a frame. False: the next one wakes. */
  wait(): boolean {
    Atomics.store(this.#words, CONSUMER_WAITS, 1); // before the head is read: see publish
    if (this.peek().length === 0) return false;
    Atomics.store(this.#words, CONSUMER_WAITS, 0);
    return true;
  }

  #broke(): Uint8Array {
    this.#isBroken = true;
    return NOTHING;
  }

  #advance(bytes: number): void {
    this.#tail = (this.#tail + bytes) | 0;
    Atomics.store(this.#words, TAIL, this.#tail); // after the frame was read: the producer may overwrite it
  }
}

function recordBytes(lengthBytes: number): number {
  return (RECORD_HEADER_BYTES + lengthBytes + ALIGNMENT - 1) & -ALIGNMENT;
}

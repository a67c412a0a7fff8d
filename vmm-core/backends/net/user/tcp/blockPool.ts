/**
 * Memory for bytes that TCP must keep: what the guest has not acknowledged, and what a socket has not taken.
 * All connections of a network share one pool, so that its size is the bound, whatever the guest does. Blocks
 * are used last in, first out: one busy connection stays in the processor's cache.
 */
import { discard } from '../../../../kvm/libc.ts';
import { IoBuffer } from '../../../../memory/ioBuffer.ts';

/** A block holds one frame's payload, of the largest frame. */
export const BLOCK_BYTES = 0x10000;
const NONE = -1;
/** So much that was touched is worth a call to give it back. */
const WORTH_BLOCKS = 16;

export class BlockPool {
  readonly buffer: IoBuffer;
  readonly view: DataView;
  readonly blocks: number;
  /** The next block of the same queue, or of the free ones. */
  readonly next: Int32Array;
  /** Where the bytes in a block end. */
  readonly end: Int32Array;
  #free = NONE;
  /** Blocks from here on were never used since memory was given back. */
  #fresh = 0;
  #used = 0;

  constructor(blocks: number) {
    this.blocks = blocks;
    this.buffer = new IoBuffer(blocks * BLOCK_BYTES);
    this.view = new DataView(this.buffer.bytes.buffer);
    this.next = new Int32Array(blocks);
    this.end = new Int32Array(blocks);
  }

  get freeBlocks(): number {
    return this.blocks - this.#used;
  }

  get usedBlocks(): number {
    return this.#used;
  }

  /** NONE (-1): there is none left. */
  take(): number {
    let block = this.#free;
    if (block !== NONE) this.#free = this.next[block] ?? NONE;
    else if (this.#fresh < this.blocks) block = this.#fresh++;
    else return NONE;
    this.#used++;
    this.next[block] = NONE;
    this.end[block] = 0;
    return block;
  }

  put(block: number): void {
    this.next[block] = this.#free;
    this.#free = block;
    this.#used--;
  }

  /** Gives memory that is not used back to the host, when nothing is. Not while data moves: it is slow. */
  trim(): void {
    if (this.#used > 0 || this.#fresh < WORTH_BLOCKS) return;
    discard(this.buffer.bytes.subarray(0, this.#fresh * BLOCK_BYTES));
    this.#free = NONE;
    this.#fresh = 0;
  }
}

/** Bytes in order, in blocks of a pool. Offsets in the pool's buffer are how others get at them. */
export class BlockQueue {
  readonly #pool: BlockPool;
  #head = NONE;
  #tail = NONE;
  /** In the first block: what is before was dropped. */
  #start = 0;
  #bytes = 0;

  constructor(pool: BlockPool) {
    this.#pool = pool;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Where the next bytes go, when the last block has room; see `room`. */
  get tailOffset(): number {
    return this.#tail * BLOCK_BYTES + (this.#pool.end[this.#tail] ?? 0);
  }

  /** Of the last block, of which at most `unit` bytes are used; 0: `grow` first. */
  room(unit: number): number {
    return this.#tail === NONE ? 0 : Math.max(0, unit - (this.#pool.end[this.#tail] ?? 0));
  }

  /** False: the pool is empty. */
  grow(): boolean {
    const block = this.#pool.take();
    if (block === NONE) return false;
    if (this.#tail === NONE) {
      this.#head = block;
      this.#start = 0;
    } else this.#pool.next[this.#tail] = block;
    this.#tail = block;
    return true;
  }

  /** So many bytes were written at `tailOffset`. A block without bytes is given back. */
  added(bytes: number): void {
    this.#pool.end[this.#tail] = (this.#pool.end[this.#tail] ?? 0) + bytes;
    this.#bytes += bytes;
    if (this.#bytes === 0) this.clear();
  }

  /** Where byte `at` of the queue is; `run` tells how many follow in the same block. */
  find(at: number): number {
    const { next, end } = this.#pool;
    let block = this.#head;
    let offset = this.#start + at;
    for (let last = end[block] ?? 0; offset >= last && block !== this.#tail; last = end[block] ?? 0) {
      offset -= last;
      block = next[block] ?? NONE;
    }
    this.run = (end[block] ?? 0) - offset;
    return block * BLOCK_BYTES + offset;
  }

  /** After `find`: bytes in one piece. */
  run = 0;

  /** The first bytes are done with; at most `bytes` of them. */
  drop(bytes: number): void {
    this.#bytes -= bytes;
    if (this.#bytes === 0) return this.clear();
    this.#start += bytes;
    const { next, end } = this.#pool;
    for (let last = end[this.#head] ?? 0; this.#start >= last; last = end[this.#head] ?? 0) {
      const block = this.#head;
      this.#start -= last;
      this.#head = next[block] ?? NONE;
      this.#pool.put(block);
    }
  }

  clear(): void {
    while (this.#head !== NONE) {
      const block = this.#head;
      this.#head = this.#pool.next[block] ?? NONE;
      this.#pool.put(block);
    }
    this.#tail = NONE;
    this.#start = 0;
    this.#bytes = 0;
  }
}

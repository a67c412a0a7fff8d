/**
 * What the guest has sent on its connections and programs of the host do not take yet: a row of chunks for
 * each. Chunks are made when they are needed for the first time, and there are no more than all connections
 * may fill together.
 */
import type { MessageIo } from '../../bus/messageIo.ts';
import { IoBuffer } from '../../memory/ioBuffer.ts';

export const CHUNK_BYTES = 16 * 1024;
/** Of memory, at a time: few, since each takes much of the address space; pages come when they are used. */
const SLAB_CHUNKS = 512;
const NONE = -1;

export class Backlogs {
  readonly #maxChunks: number;
  /** Of each row: its chunks, and where in the first its bytes begin. */
  readonly #first: Int32Array;
  readonly #last: Int32Array;
  readonly #offset: Uint32Array;
  readonly #bytes: Uint32Array;
  /** By chunk: the next of its row, or of those that are free. */
  readonly #next: Int32Array;
  readonly #slabs: IoBuffer[] = [];
  #free = NONE;

  constructor(rows: number, maxChunks: number) {
    this.#maxChunks = maxChunks;
    this.#first = new Int32Array(rows).fill(NONE);
    this.#last = new Int32Array(rows).fill(NONE);
    this.#offset = new Uint32Array(rows);
    this.#bytes = new Uint32Array(rows);
    this.#next = new Int32Array(maxChunks).fill(NONE);
  }

  lengthBytes(row: number): number {
    return this.#bytes[row] ?? 0;
  }

  /** Copies it to the end. False, and a part is there: there are no more chunks, or the host has none. */
  append(row: number, bytes: Uint8Array): boolean {
    for (let done = 0; done < bytes.length;) {
      const end = ((this.#offset[row] ?? 0) + this.lengthBytes(row)) % CHUNK_BYTES;
      const chunk = this.lengthBytes(row) === 0 || end === 0 ? this.#add(row) : (this.#last[row] ?? NONE);
      if (chunk === NONE) return false;
      const length = Math.min(bytes.length - done, CHUNK_BYTES - end);
      this.#slabOf(chunk)?.bytes.set(bytes.subarray(done, done + length), startOf(chunk) + end);
      this.#bytes[row] = this.lengthBytes(row) + length;
      done += length;
    }
    return true;
  }

  /** Appends the row to a message, as much as that has room for. */
  addTo(row: number, message: MessageIo): void {
    let left = this.lengthBytes(row);
    let offset = this.#offset[row] ?? 0;
    for (
      let chunk = this.#first[row] ?? NONE;
      left > 0 && chunk !== NONE;
      chunk = this.#next[chunk] ?? NONE
    ) {
      const slab = this.#slabOf(chunk);
      const length = Math.min(left, CHUNK_BYTES - offset);
      if (slab === undefined || !message.addBuffer(slab, startOf(chunk) + offset, length)) return;
      left -= length;
      offset = 0;
    }
  }

  /** Cuts off the beginning. At most what there is. */
  consume(row: number, lengthBytes: number): void {
    this.#bytes[row] = this.lengthBytes(row) - lengthBytes;
    let offset = (this.#offset[row] ?? 0) + lengthBytes;
    for (; offset >= CHUNK_BYTES; offset -= CHUNK_BYTES) this.#dropFirst(row);
    this.#offset[row] = offset;
    if (this.lengthBytes(row) > 0) return;
    if (this.#first[row] !== NONE) this.#dropFirst(row);
    this.#offset[row] = 0;
  }

  #add(row: number): number {
    const chunk = this.#take();
    if (chunk === NONE) return NONE;
    this.#next[chunk] = NONE;
    const last = this.#last[row] ?? NONE;
    if (last === NONE) this.#first[row] = chunk;
    else this.#next[last] = chunk;
    this.#last[row] = chunk;
    return chunk;
  }

  #dropFirst(row: number): void {
    const chunk = this.#first[row] ?? NONE;
    const next = this.#next[chunk] ?? NONE;
    this.#first[row] = next;
    if (next === NONE) this.#last[row] = NONE;
    this.#next[chunk] = this.#free;
    this.#free = chunk;
  }

  #take(): number {
    if (this.#free === NONE) this.#addSlab();
    const chunk = this.#free;
    if (chunk !== NONE) this.#free = this.#next[chunk] ?? NONE;
    return chunk;
  }

  #addSlab(): void {
    const start = this.#slabs.length * SLAB_CHUNKS;
    const end = Math.min(start + SLAB_CHUNKS, this.#maxChunks);
    if (start >= end) return;
    const slab = newBuffer((end - start) * CHUNK_BYTES);
    if (slab === undefined) return;
    this.#slabs.push(slab);
    for (let chunk = end - 1; chunk >= start; chunk--) {
      this.#next[chunk] = this.#free;
      this.#free = chunk;
    }
  }

  #slabOf(chunk: number): IoBuffer | undefined {
    return this.#slabs[Math.floor(chunk / SLAB_CHUNKS)];
  }
}

/** Undefined: the host has no memory for it. */
function newBuffer(sizeBytes: number): IoBuffer | undefined {
  try {
    return new IoBuffer(sizeBytes);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** In its slab. */
function startOf(chunk: number): number {
  return (chunk % SLAB_CHUNKS) * CHUNK_BYTES;
}

/**
 * Pieces of a table of an image, read on demand and written back later: the L2 tables, the refcount blocks. A
 * piece ("slice") is at most 4 KiB, so that a miss reads little; the number of slices is fixed, and the one
 * that was not used for longest makes room.
 */
import { IoBuffer } from '../../../memory/ioBuffer.ts';
import type { ImageFile } from '../imageFile.ts';

export interface TableCacheOptions {
  readonly file: ImageFile;
  readonly sliceBytes: number;
  readonly sizeBytes: number;
  /** Before a changed slice is written to make room; may write it with all others. */
  readonly beforeEviction?: () => void;
}

export const MAX_SLICE_BYTES = 4096;
const FEWEST_SLICES = 4;
const NO_KEY = -1;

/** A slice is known by its number in the table (`key`), and found as its position in `view`. */
export class TableCache {
  readonly view: DataView;
  readonly #bytes: Uint8Array;
  readonly #options: TableCacheOptions;
  readonly #slotOf = new Map<number, number>();
  readonly #keys: Float64Array;
  readonly #offsets: Float64Array;
  readonly #usedAt: Float64Array;
  readonly #isDirty: Uint8Array;
  #dirty = 0;
  #clock = 0;

  constructor(options: TableCacheOptions) {
    const slots = Math.max(FEWEST_SLICES, Math.floor(options.sizeBytes / options.sliceBytes));
    const buffer = new IoBuffer(slots * options.sliceBytes);
    this.#options = options;
    this.#bytes = buffer.bytes;
    this.view = new DataView(buffer.bytes.buffer, 0, buffer.bytes.length);
    this.#keys = new Float64Array(slots).fill(NO_KEY);
    this.#offsets = new Float64Array(slots);
    this.#usedAt = new Float64Array(slots);
    this.#isDirty = new Uint8Array(slots);
  }

  get isDirty(): boolean {
    return this.#dirty > 0;
  }

  /** The slice's position; -1: it is not here. */
  find(key: number): number {
    const slot = this.#slotOf.get(key);
    if (slot === undefined) return -1;
    this.#usedAt[slot] = ++this.#clock;
    return slot * this.#options.sliceBytes;
  }

  /** The slice's position, after it was read from `offset` of the file when it was not here. */
  load(key: number, offset: number): number {
    const found = this.find(key);
    if (found >= 0) return found;
    const slot = this.#vacate();
    const position = slot * this.#options.sliceBytes;
    this.#options.file.read(this.#slice(slot), offset);
    this.#keys[slot] = key;
    this.#offsets[slot] = offset;
    this.#slotOf.set(key, slot);
    this.#usedAt[slot] = ++this.#clock;
    return position;
  }

  /** The slice at this position was changed. */
  touch(position: number): void {
    const slot = position / this.#options.sliceBytes;
    if (this.#isDirty[slot] === 1) return;
    this.#isDirty[slot] = 1;
    this.#dirty++;
  }

  writeDirty(): void {
    if (this.#dirty === 0) return;
    for (let slot = 0; slot < this.#keys.length; slot++) if (this.#isDirty[slot] === 1) this.#write(slot);
  }

  /** The slice with this key has another place in the file now, or none. It must not be dirty. */
  forget(key: number): void {
    const slot = this.#slotOf.get(key);
    if (slot === undefined) return;
    this.#slotOf.delete(key);
    this.#keys[slot] = NO_KEY;
    this.#usedAt[slot] = 0;
    if (this.#isDirty[slot] === 1) this.#dirty--;
    this.#isDirty[slot] = 0;
  }

  #vacate(): number {
    let slot = this.#oldest();
    if (this.#isDirty[slot] === 1) {
      this.#options.beforeEviction?.();
      slot = this.#oldest(); // writing back may have used others
      if (this.#isDirty[slot] === 1) this.#write(slot);
    }
    this.forget(this.#keys[slot] ?? NO_KEY);
    return slot;
  }

  #oldest(): number {
    let oldest = 0;
    for (let slot = 1; slot < this.#keys.length; slot++)
      if ((this.#usedAt[slot] ?? 0) < (this.#usedAt[oldest] ?? 0)) oldest = slot;
    return oldest;
  }

  #write(slot: number): void {
    this.#options.file.write(this.#slice(slot), this.#offsets[slot] ?? 0);
    this.#isDirty[slot] = 0;
    this.#dirty--;
  }

  #slice(slot: number): Uint8Array {
    const { sliceBytes } = this.#options;
    return this.#bytes.subarray(slot * sliceBytes, (slot + 1) * sliceBytes);
  }
}

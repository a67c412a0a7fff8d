/**
 * Copies between guest memory and buffers of ours, a piece of a descriptor chain at a time, without an
 * allocation: by words, which on shared memory is as fast as TypedArray.set, and needs no view. On the thread
 * that serves a device. Pieces were checked by the queue to be inside one slot of RAM.
 */
import { GuestAddressError, type GuestMemory } from '../../memory/guestMemory.ts';

/** Bytes below which a loop is faster than a view. */
const SMALL = 64;

export class RamCopy {
  readonly #starts: Float64Array;
  readonly #ends: Float64Array;
  readonly #bytes: readonly Uint8Array[];
  readonly #views: readonly DataView[];
  // What #find has found.
  #ram: Uint8Array;
  #view: DataView;

  constructor({ slots }: GuestMemory) {
    this.#starts = Float64Array.from(slots, ({ base }) => base);
    this.#ends = Float64Array.from(slots, ({ base, sizeBytes }) => base + sizeBytes);
    this.#bytes = slots.map(({ bytes }) => bytes);
    this.#views = slots.map(
      ({ bytes, sizeBytes }) => new DataView(bytes.buffer, bytes.byteOffset, sizeBytes),
    );
    this.#ram = this.#bytes[0] ?? new Uint8Array();
    this.#view = this.#views[0] ?? new DataView(new ArrayBuffer(0));
  }

  /** From guest memory. */
  toView(gpa: number, into: DataView, at: number, lengthBytes: number): void {
    const from = this.#find(gpa, lengthBytes);
    const ram = this.#view;
    const words = lengthBytes & ~3;
    for (let i = 0; i < words; i += 4) into.setUint32(at + i, ram.getUint32(from + i, true), true);
    for (let i = words; i < lengthBytes; i++) into.setUint8(at + i, ram.getUint8(from + i));
  }

  /** Into guest memory. */
  fromView(gpa: number, from: DataView, at: number, lengthBytes: number): void {
    const to = this.#find(gpa, lengthBytes);
    const ram = this.#view;
    const words = lengthBytes & ~3;
    for (let i = 0; i < words; i += 4) ram.setUint32(to + i, from.getUint32(at + i, true), true);
    for (let i = words; i < lengthBytes; i++) ram.setUint8(to + i, from.getUint8(at + i));
  }

  /** From guest memory, into the array from `at` on. */
  toBytes(gpa: number, into: Uint8Array, at: number, lengthBytes: number): void {
    const from = this.#find(gpa, lengthBytes);
    const ram = this.#ram;
    if (lengthBytes > SMALL) return into.set(ram.subarray(from, from + lengthBytes), at);
    for (let i = 0; i < lengthBytes; i++) into[at + i] = ram[from + i] ?? 0;
  }

  /** Into guest memory, from `at` of the array on. */
  fromBytes(gpa: number, bytes: Uint8Array, at: number, lengthBytes: number): void {
    const to = this.#find(gpa, lengthBytes);
    const ram = this.#ram;
    if (lengthBytes > SMALL) {
      const isAll = at === 0 && lengthBytes === bytes.length;
      return ram.set(isAll ? bytes : bytes.subarray(at, at + lengthBytes), to);
    }
    for (let i = 0; i < lengthBytes; i++) ram[to + i] = bytes[at + i] ?? 0;
  }

  /** Where in its slot it is. Throws GuestAddressError, which is a bug of the caller. */
  #find(gpa: number, lengthBytes: number): number {
    const starts = this.#starts;
    const ends = this.#ends;
    for (let i = 0; i < starts.length; i++) {
      const start = starts[i] ?? 0;
      if (gpa < start || gpa + lengthBytes > (ends[i] ?? 0)) continue;
      this.#ram = this.#bytes[i] ?? this.#ram;
      this.#view = this.#views[i] ?? this.#view;
      return gpa - start;
    }
    throw new GuestAddressError(gpa, lengthBytes);
  }
}

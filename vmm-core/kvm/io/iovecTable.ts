/**
 * The iovecs of an engine's slots (struct iovec, <bits/types/struct_iovec.h>), in memory that the kernel
 * reads: a row for each. Host addresses are plain numbers here: user space ends at 2^47.
 */
import { type Iovecs, MAX_SEGMENTS } from '../../bus/ioEngine.ts';
import type { RamSlot } from '../../memory/guestMemory.ts';
import { IoBuffer } from '../../memory/ioBuffer.ts';
import { addressOf, hostAddress } from '../libc.ts';
import { copyFromHost } from './syscalls.ts';

const IOVEC_WORDS = 4; // iov_base and iov_len, two words each
const IOVEC_BYTES = 4 * IOVEC_WORDS;
const TWO_32 = 2 ** 32;

export class IovecTable implements Iovecs {
  readonly #table: IoBuffer;
  readonly #tableAddress: number;
  readonly #words: Uint32Array;
  readonly #rowWords: number;
  /** Of each row: where it begins, since what is transferred is cut off, and how many are left. */
  readonly #first: Uint16Array;
  readonly #count: Uint16Array;
  readonly #lengthBytes: Float64Array;
  // Guest RAM.
  readonly #ramBase: Float64Array;
  readonly #ramEnd: Float64Array;
  readonly #ramAddress: Float64Array;
  readonly #ram: readonly Uint8Array[];

  constructor(slots: number, ram: readonly RamSlot[], rowSegments = MAX_SEGMENTS) {
    this.#rowWords = rowSegments * IOVEC_WORDS;
    this.#table = new IoBuffer(slots * this.#rowWords * 4);
    this.#tableAddress = Number(hostAddress(this.#table.memory));
    this.#words = new Uint32Array(this.#table.memory.buffer, 0, slots * this.#rowWords);
    this.#first = new Uint16Array(slots);
    this.#count = new Uint16Array(slots);
    this.#lengthBytes = new Float64Array(slots);
    this.#ramBase = Float64Array.from(ram, ({ base }) => base);
    this.#ramEnd = Float64Array.from(ram, ({ base, sizeBytes }) => base + sizeBytes);
    this.#ramAddress = Float64Array.from(ram, ({ bytes }) => Number(addressOf(bytes)));
    this.#ram = ram.map(({ bytes }) => bytes);
  }

  clear(slot: number): void {
    this.#first[slot] = 0;
    this.#count[slot] = 0;
    this.#lengthBytes[slot] = 0;
  }

  addGuest(slot: number, gpa: number, lengthBytes: number): boolean {
    if (!(lengthBytes > 0)) return false;
    for (let ram = 0; ram < this.#ramBase.length; ram++) {
      const base = this.#ramBase[ram] ?? 0;
      // Sums are exact below 2^53, and what is above is far above any end.
      if (gpa >= base && gpa + lengthBytes <= (this.#ramEnd[ram] ?? 0))
        return this.addHost(slot, (this.#ramAddress[ram] ?? 0) + (gpa - base), lengthBytes);
    }
    return false;
  }

  /** Appends host memory, which the caller keeps alive and which never moves. False: the row is full. */
  addHost(slot: number, address: number, lengthBytes: number): boolean {
    const next = (this.#first[slot] ?? 0) + this.count(slot);
    if (next * IOVEC_WORDS >= this.#rowWords) return false;
    this.#write(slot * this.#rowWords + next * IOVEC_WORDS, address, lengthBytes);
    this.#count[slot] = this.count(slot) + 1;
    this.#lengthBytes[slot] = this.lengthBytes(slot) + lengthBytes;
    return true;
  }

  /** What was transferred is cut off. */
  zeroRest(slot: number): void {
    const first = this.#firstWord(slot);
    const end = first + this.count(slot) * IOVEC_WORDS;
    for (let at = first; at < end; at += IOVEC_WORDS) {
      const address = (this.#words[at + 1] ?? 0) * TWO_32 + (this.#words[at] ?? 0);
      this.#zero(address, (this.#words[at + 3] ?? 0) * TWO_32 + (this.#words[at + 2] ?? 0));
    }
  }

  lengthBytes(slot: number): number {
    return this.#lengthBytes[slot] ?? 0;
  }

  /** Segments that are left. */
  count(slot: number): number {
    return this.#count[slot] ?? 0;
  }

  /** Of the first iovec that is left, for the kernel. */
  addressOfRow(slot: number): number {
    return this.#tableAddress + slot * this.#rowWords * 4 + (this.#first[slot] ?? 0) * IOVEC_BYTES;
  }

  /** Where the first segment that is left begins. */
  firstAddress(slot: number): number {
    const at = this.#firstWord(slot);
    return (this.#words[at + 1] ?? 0) * TWO_32 + (this.#words[at] ?? 0);
  }

  firstBytes(slot: number): number {
    const at = this.#firstWord(slot);
    return (this.#words[at + 3] ?? 0) * TWO_32 + (this.#words[at + 2] ?? 0);
  }

  /** Cuts off the beginning of a row: it is transferred. At most what there is. */
  consume(slot: number, bytes: number): void {
    this.#lengthBytes[slot] = this.lengthBytes(slot) - bytes;
    let left = bytes;
    while (left > 0) {
      const segment = this.firstBytes(slot);
      if (left < segment)
        return this.#write(this.#firstWord(slot), this.firstAddress(slot) + left, segment - left);
      left -= segment;
      this.#first[slot] = (this.#first[slot] ?? 0) + 1;
      this.#count[slot] = this.count(slot) - 1;
    }
  }

  /** A copy of what the row's memory holds. */
  copy(slot: number): Uint8Array {
    const bytes = new Uint8Array(this.lengthBytes(slot));
    const row = this.#words.subarray(this.#firstWord(slot));
    let end = 0;
    for (let i = 0; i < this.count(slot) * IOVEC_WORDS; i += IOVEC_WORDS) {
      const address = (row[i + 1] ?? 0) * TWO_32 + (row[i] ?? 0);
      const lengthBytes = row[i + 2] ?? 0; // of 2^32 bytes no test makes a copy
      copyFromHost(address, bytes.subarray(end, end + lengthBytes));
      end += lengthBytes;
    }
    return bytes;
  }

  /** While `perform` asks the kernel for so many segments, the row ends after so many bytes. */
  withEnd(slot: number, lengthBytes: number, perform: (segments: number) => number): number {
    let left = lengthBytes;
    let segments = 0;
    let at = this.#firstWord(slot);
    for (; segments < this.count(slot) && left > 0; segments++, at += IOVEC_WORDS) {
      const segment = this.#words[at + 2] ?? 0; // of 2^32 bytes no test makes a message
      if (segment > left) {
        this.#words[at + 2] = left;
        const result = perform(segments + 1);
        this.#words[at + 2] = segment;
        return result;
      }
      left -= segment;
    }
    return perform(segments);
  }

  #write(at: number, address: number, lengthBytes: number): void {
    this.#words[at] = address;
    this.#words[at + 1] = address / TWO_32;
    this.#words[at + 2] = lengthBytes;
    this.#words[at + 3] = lengthBytes / TWO_32;
  }

  #zero(address: number, lengthBytes: number): void {
    this.#ram.forEach((bytes, i) => {
      const start = address - (this.#ramAddress[i] ?? 0);
      if (start >= 0 && start + lengthBytes <= bytes.length) bytes.fill(0, start, start + lengthBytes);
    });
  }

  #firstWord(slot: number): number {
    return slot * this.#rowWords + (this.#first[slot] ?? 0) * IOVEC_WORDS;
  }
}

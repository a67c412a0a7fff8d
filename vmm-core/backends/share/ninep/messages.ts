/**
 * The fields of 9P messages, in order, from and to a buffer. What does not fit the message makes it broken,
 * and reads as zero: whoever reads looks once, when all fields are read. Strings are bytes, one a character.
 */
import { P9_READ_HEADER, P9_TLERROR } from '../../../abi/ninep.ts';

const U32 = 2 ** 32;

export class MessageReader {
  readonly bytes: Uint8Array;
  readonly #text: Buffer;
  readonly #view: DataView;
  #at = 0;
  #end = 0;
  #isBroken = false;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes; // views of it cost less than those of a Buffer
    this.#text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** A message of `lengthBytes`, of which `u32` reads the first. */
  begin(lengthBytes: number): void {
    this.#at = 0;
    this.#end = lengthBytes;
    this.#isBroken = false;
  }

  /** The message says that it is shorter. */
  end(lengthBytes: number): void {
    this.#end = lengthBytes;
  }

  /** Where the next field is. */
  get at(): number {
    return this.#at;
  }

  /** All fields so far were there. */
  get isGood(): boolean {
    return !this.#isBroken;
  }

  u8(): number {
    const at = this.#take(1);
    return at < 0 ? 0 : this.#view.getUint8(at);
  }

  u16(): number {
    const at = this.#take(2);
    return at < 0 ? 0 : this.#view.getUint16(at, true);
  }

  u32(): number {
    const at = this.#take(4);
    return at < 0 ? 0 : this.#view.getUint32(at, true);
  }

  /** Rounded beyond 2^53, where no file has an offset. */
  u64(): number {
    const at = this.#take(8);
    return at < 0 ? 0 : this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * U32;
  }

  exactU64(): bigint {
    const at = this.#take(8);
    return at < 0 ? 0n : this.#view.getBigUint64(at, true);
  }

  string(): string {
    const length = this.u16();
    const at = this.#take(length);
    return at < 0 ? '' : this.#text.toString('latin1', at, at + length);
  }

  skip(lengthBytes: number): void {
    this.#take(lengthBytes);
  }

  /** Its offset; -1: it is not there. */
  #take(lengthBytes: number): number {
    const at = this.#at;
    if (this.#isBroken || lengthBytes > this.#end - at) {
      this.#isBroken = true;
      return -1;
    }
    this.#at = at + lengthBytes;
    return at;
  }
}

export class MessageWriter {
  readonly bytes: Uint8Array;
  readonly #text: Buffer;
  readonly #view: DataView;
  #at = 0;
  #end = 0;
  #isFull = false;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes; // views of it cost less than those of a Buffer
    this.#text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** An answer that may have `roomBytes`. */
  begin(type: number, tag: number, roomBytes: number): void {
    this.#at = 4;
    this.#end = roomBytes;
    this.#isFull = false;
    this.u8(type);
    this.u16(tag);
  }

  /** Its length. */
  end(): number {
    this.#view.setUint32(0, this.#at, true);
    return this.#at;
  }

  /** In place of what was written. There must be room for it. */
  error(tag: number, errno: number): number {
    this.begin(P9_TLERROR + 1, tag, P9_READ_HEADER);
    this.u32(errno);
    return this.end();
  }

  /** Something did not fit. */
  get isFull(): boolean {
    return this.#isFull;
  }

  get at(): number {
    return this.#at;
  }

  get roomBytes(): number {
    return this.#end - this.#at;
  }

  u8(value: number): void {
    const at = this.#take(1);
    if (at >= 0) this.#view.setUint8(at, value);
  }

  u16(value: number): void {
    const at = this.#take(2);
    if (at >= 0) this.#view.setUint16(at, value, true);
  }

  u32(value: number): void {
    const at = this.#take(4);
    if (at >= 0) this.#view.setUint32(at, value, true);
  }

  u64(low: number, high = 0): void {
    this.u32(low);
    this.u32(high);
  }

  /** Bytes from elsewhere. */
  copy(from: Uint8Array, start: number, lengthBytes: number): void {
    const at = this.#take(lengthBytes);
    for (let i = 0; at >= 0 && i < lengthBytes; i++) this.bytes[at + i] = from[start + i] ?? 0;
  }

  /** n[2] and what is there from `start` on. */
  stringOf(from: Uint8Array, start: number, lengthBytes: number): void {
    this.u16(lengthBytes);
    this.copy(from, start, lengthBytes);
  }

  string(text: string): void {
    this.u16(text.length);
    const at = this.#take(text.length);
    if (at >= 0) this.#text.write(text, at, 'latin1');
  }

  /** Bytes that somebody has written, or will. */
  skip(lengthBytes: number): void {
    this.#take(lengthBytes);
  }

  /** Writes over a count that was left out. */
  setU16(at: number, value: number): void {
    this.#view.setUint16(at, value, true);
  }

  setU32(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  #take(lengthBytes: number): number {
    const at = this.#at;
    if (this.#isFull || lengthBytes > this.#end - at) {
      this.#isFull = true;
      return -1;
    }
    this.#at = at + lengthBytes;
    return at;
  }
}

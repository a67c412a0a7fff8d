/**
 * A cursor over a piece of a section. DWARF 5 §7.6 (LEB128), §7.4 (32- and 64-bit format).
 *
 * Addresses are plain numbers: 64-bit addresses are taken as signed, so that the kernel's
 * (0xffffffff81000000) and user space's are both exact below 2^53 in magnitude and comparing them costs
 * nothing. 32-bit addresses are unsigned. See address.ts for the way back to unsigned bigints. Other 64-bit
 * values read as numbers lose low bits from 2^53 on, which only broken files have in offsets and lengths;
 * constants that may use all bits have bigint readers.
 */
import { DwarfError, EndOfDataError } from './dwarfError.ts';

const TWO_32 = 0x1_0000_0000;
/** Padding of a LEB128 past 64 bits carries nothing (§7.6); scaling by it would end at infinity. */
const MAX_SCALE = 2 ** 70;
/** Seven more bits than this do not fit a number exactly. */
const MAX_EXACT_SCALE = 2 ** 46;
const decoder = new TextDecoder();

export class Reader {
  readonly bytes: Uint8Array;
  readonly littleEndian: boolean;
  readonly sectionName: string;
  /** Where bytes[0] is in the section. */
  readonly base: number;
  readonly #view: DataView;
  /** Index in `bytes` of the next byte. */
  pos = 0;
  /** Index in `bytes` after the last byte that may be read. */
  end: number;

  constructor(bytes: Uint8Array, littleEndian: boolean, sectionName: string, base: number) {
    this.bytes = bytes;
    this.littleEndian = littleEndian;
    this.sectionName = sectionName;
    this.base = base;
    this.end = bytes.length;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Offset in the section of the next byte. */
  get offset(): number {
    return this.base + this.pos;
  }

  get atEnd(): boolean {
    return this.pos >= this.end;
  }

  get remaining(): number {
    return this.end - this.pos;
  }

  u8(): number {
    const at = this.pos;
    if (at >= this.end) this.#endOfData();
    this.pos = at + 1;
    return this.bytes[at] as number;
  }

  s8(): number {
    return (this.u8() << 24) >> 24;
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), this.littleEndian);
  }

  s16(): number {
    return this.#view.getInt16(this.#take(2), this.littleEndian);
  }

  /** DW_FORM_strx3 and addrx3. */
  u24(): number {
    const at = this.#take(3);
    const low = this.#view.getUint8(at);
    const middle = this.#view.getUint8(at + 1);
    const high = this.#view.getUint8(at + 2);
    return this.littleEndian ? low | (middle << 8) | (high << 16) : high | (middle << 8) | (low << 16);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), this.littleEndian);
  }

  s32(): number {
    return this.#view.getInt32(this.#take(4), this.littleEndian);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8), this.littleEndian);
  }

  s64(): bigint {
    return this.#view.getBigInt64(this.#take(8), this.littleEndian);
  }

  /** An unsigned 64-bit value as a number, rounded from 2^53 on. */
  u64Number(): number {
    const at = this.#take(8);
    const first = this.#view.getUint32(at, this.littleEndian);
    const second = this.#view.getUint32(at + 4, this.littleEndian);
    return this.littleEndian ? second * TWO_32 + first : first * TWO_32 + second;
  }

  /** A signed 64-bit value as a number, rounded from 2^53 in magnitude on. */
  s64Number(): number {
    const at = this.#take(8);
    return this.littleEndian
      ? this.#view.getInt32(at + 4, true) * TWO_32 + this.#view.getUint32(at, true)
      : this.#view.getInt32(at, false) * TWO_32 + this.#view.getUint32(at + 4, false);
  }

  uleb(): number {
    const first = this.u8();
    if (first < 0x80) return first;
    let value = first & 0x7f;
    let scale = 0x80;
    for (;;) {
      const byte = this.u8();
      if (scale < MAX_SCALE) value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
  }

  sleb(): number {
    const start = this.pos;
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      scale *= 0x80;
      if (byte < 0x80) return byte & 0x40 ? value - scale : value;
      if (scale > MAX_EXACT_SCALE) {
        this.pos = start;
        return Number(this.slebBig());
      }
    }
  }

  ulebBig(): bigint {
    return BigInt.asUintN(64, this.#leb().value);
  }

  slebBig(): bigint {
    const { value, bits } = this.#leb();
    return BigInt.asIntN(64, BigInt.asIntN(bits, value));
  }

  skipLeb(): void {
    while (this.u8() >= 0x80);
  }

  /**
   * An address of `sizeBytes`: 8 bytes come out signed, smaller ones unsigned (see the head of this file).
   */
  address(sizeBytes: number): number {
    switch (sizeBytes) {
      case 8:
        return this.s64Number();
      case 4:
        return this.u32();
      case 2:
        return this.u16();
      case 1:
        return this.u8();
      default:
        throw this.error(`unsupported address size: ${sizeBytes}`);
    }
  }

  /** A section offset or length of the unit's format (§7.4). */
  sectionOffset(is64: boolean): number {
    return is64 ? this.u64Number() : this.u32();
  }

  /**
   * unit_length (§7.4): 0xffffffff announces the 64-bit format, the other values from 0xfffffff0 are
   * reserved.
   */
  initialLength(): { length: number; is64: boolean } {
    const first = this.u32();
    if (first < 0xfffffff0) return { length: first, is64: false };
    if (first === 0xffffffff) return { length: this.u64Number(), is64: true };
    throw this.error(`reserved unit length: 0x${first.toString(16)}`);
  }

  cstring(): string {
    const start = this.pos;
    this.skipCstring();
    return decoder.decode(this.bytes.subarray(start, this.pos - 1));
  }

  skipCstring(): void {
    const end = this.bytes.indexOf(0, this.pos);
    if (end < 0 || end >= this.end) this.#endOfData();
    this.pos = end + 1;
  }

  /** A view, not a copy. */
  block(lengthBytes: number): Uint8Array {
    const at = this.#take(lengthBytes);
    return this.bytes.subarray(at, at + lengthBytes);
  }

  skip(lengthBytes: number): void {
    this.#take(lengthBytes);
  }

  /** A reader over the next `lengthBytes`, which this one then has passed. */
  sub(lengthBytes: number): Reader {
    const { base, pos } = this;
    return new Reader(this.block(lengthBytes), this.littleEndian, this.sectionName, base + pos);
  }

  error(message: string): DwarfError {
    return new DwarfError(this.sectionName, this.offset, message);
  }

  #take(lengthBytes: number): number {
    const at = this.pos;
    if (!(lengthBytes >= 0 && at + lengthBytes <= this.end)) this.#endOfData();
    this.pos = at + lengthBytes;
    return at;
  }

  #leb(): { value: bigint; bits: number } {
    let value = 0n;
    let bits = 0;
    for (;;) {
      const byte = this.u8();
      // Padding bytes past 64 bits carry nothing new (§7.6 allows them); stop adding so that a long run
      // cannot build a huge number.
      if (bits < 70) {
        value |= BigInt(byte & 0x7f) << BigInt(bits);
        bits += 7;
      }
      if (byte < 0x80) return { value, bits };
    }
  }

  #endOfData(): never {
    throw new EndOfDataError(this.sectionName, this.offset);
  }
}

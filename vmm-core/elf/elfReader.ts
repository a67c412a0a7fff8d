/** The bytes of one ELF structure, read in the file's class and byte order. */
import { ElfError } from './elfError.ts';

export class ElfReader {
  readonly bytes: Uint8Array;
  readonly is64: boolean;
  readonly littleEndian: boolean;
  readonly #view: DataView;
  readonly #fileOffset: number;

  /** `fileOffset` is where `bytes` begin in the file; only messages use it. */
  constructor(bytes: Uint8Array, is64: boolean, littleEndian: boolean, fileOffset: number) {
    this.bytes = bytes;
    this.is64 = is64;
    this.littleEndian = littleEndian;
    this.#fileOffset = fileOffset;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(at: number): number {
    this.#need(at, 1);
    return this.#view.getUint8(at);
  }

  u16(at: number): number {
    this.#need(at, 2);
    return this.#view.getUint16(at, this.littleEndian);
  }

  u32(at: number): number {
    this.#need(at, 4);
    return this.#view.getUint32(at, this.littleEndian);
  }

  u64(at: number): bigint {
    this.#need(at, 8);
    return this.#view.getBigUint64(at, this.littleEndian);
  }

  /** Elf32_Addr or Elf64_Addr. */
  address(at: number): bigint {
    return this.is64 ? this.u64(at) : BigInt(this.u32(at));
  }

  /**
   * Elf32_Word/Off or Elf64_Xword/Off as a number. A value of 2^53 or more loses low bits here, which is
   * harmless: no file is that large, so every use of such an offset or size fails its range check.
   */
  word(at: number): number {
    if (!this.is64) return this.u32(at);
    this.#need(at, 8);
    const first = this.#view.getUint32(at, this.littleEndian);
    const second = this.#view.getUint32(at + 4, this.littleEndian);
    return this.littleEndian ? second * 0x1_0000_0000 + first : first * 0x1_0000_0000 + second;
  }

  #need(at: number, lengthBytes: number): void {
    if (at + lengthBytes > this.bytes.length) {
      throw new ElfError('structure runs past its end', this.#fileOffset + at);
    }
  }
}

const decoder = new TextDecoder();

/** The NUL-terminated string at `at`; one that does not end is cut at the table's end. */
export function cString(table: Uint8Array, at: number): string {
  if (at >= table.length) return '';
  const end = table.indexOf(0, at);
  return decoder.decode(table.subarray(at, end < 0 ? table.length : end));
}

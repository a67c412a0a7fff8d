/**
 * Where bit-fields are: as each version of DWARF encodes it, and in the bytes that hold them. DWARF 5 §5.7.6,
 * DWARF 3 §5.5.6.
 */
import { DW_AT } from '../../dwarf/constants.ts';
import type { Die } from '../../dwarf/unit.ts';

export interface BitRange {
  /** From the start of the structure, in the order the machine counts bits in. */
  readonly offset: number;
  readonly size: number;
}

/** Undefined for a member that is not a bit-field. `typeBytes` is the size of the member's type. */
export function bitRangeOf(
  member: Die,
  offsetBytes: number,
  typeBytes: () => number | undefined,
): BitRange | undefined {
  const size = member.number(DW_AT.bit_size);
  return size === undefined ? undefined : { size, offset: bitOffset(member, offsetBytes, size, typeBytes) };
}

/**
 * DWARF 3 counted from the most significant bit of the storage unit, which is where big-endian machines
 * begin.
 */
function bitOffset(
  member: Die,
  offsetBytes: number,
  sizeBits: number,
  typeBytes: () => number | undefined,
): number {
  const direct = member.number(DW_AT.data_bit_offset);
  if (direct !== undefined) return 8 * offsetBytes + direct;
  if (!member.has(DW_AT.bit_offset)) return 8 * offsetBytes;
  const storage = 8 * (member.number(DW_AT.byte_size) ?? typeBytes() ?? 4);
  const fromTop = offsetFromTop(member, storage);
  if (!member.unit.file.littleEndian) return 8 * offsetBytes + fromTop;
  return 8 * offsetBytes + storage - fromTop - sizeBits;
}

/**
 * Negative where the field reaches past its storage unit: packed structures of clang up to 18, which wrote
 * that in 8 bytes.
 */
function offsetFromTop(member: Die, storageBits: number): number {
  const unsigned = member.bigint(DW_AT.bit_offset) ?? 0n;
  if (unsigned < BigInt(storageBits)) return Number(unsigned);
  const signed = BigInt.asIntN(64, member.bigint(DW_AT.bit_offset, true) ?? 0n);
  return Number(signed < 0n ? signed : unsigned);
}

/** The bytes that hold a bit-field. */
export function bitBytes({ offset, size }: BitRange): { first: number; count: number } {
  const first = Math.floor(offset / 8);
  return { first, count: Math.ceil((offset + size) / 8) - first };
}

/**
 * How far to shift those bytes, read as one integer, to bring the field down. Big-endian fields count from
 * the top.
 */
export function bitShift({ offset, size }: BitRange, littleEndian: boolean): bigint {
  const inFirst = offset - 8 * Math.floor(offset / 8);
  const { count } = bitBytes({ offset, size });
  return BigInt(littleEndian ? inFirst : 8 * count - inFirst - size);
}

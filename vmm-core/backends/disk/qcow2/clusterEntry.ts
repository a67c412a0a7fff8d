/** What an L2 entry says of its cluster. */
import {
  QCOW2_COMPRESSED_SECTOR_BYTES,
  QCOW2_OFFSET_HIGH,
  QCOW2_OFFSET_LOW,
  QCOW_OFLAG_COMPRESSED_HIGH,
  QCOW_OFLAG_ZERO_LOW,
} from '../../../abi/qcow2.ts';

export const CLUSTER = {
  /** What the backing file has, or zeros. */
  ABSENT: 0,
  DATA: 1,
  /** Zeros; it may have a place all the same. */
  ZERO: 2,
  PACKED: 3,
} as const;
export type ClusterKind = (typeof CLUSTER)[keyof typeof CLUSTER];

/** Version 2 has no zero flag: bit 0 is reserved there, and 0. */
export function kindOf(high: number, low: number): ClusterKind {
  if ((high & QCOW_OFLAG_COMPRESSED_HIGH) !== 0) return CLUSTER.PACKED;
  if ((low & QCOW_OFLAG_ZERO_LOW) !== 0) return CLUSTER.ZERO;
  return hasPlace(high, low) ? CLUSTER.DATA : CLUSTER.ABSENT;
}

/** For entries that are not compressed. */
export function hasPlace(high: number, low: number): boolean {
  return ((high & QCOW2_OFFSET_HIGH) | (low & QCOW2_OFFSET_LOW)) !== 0;
}

export interface PackedRange {
  readonly offset: number;
  readonly lengthBytes: number;
}

/**
 * "Compressed Clusters Descriptor": the offset, and how many sectors beyond the one that has it. NaN as the
 * offset: not below 2^53.
 */
export function packedRange(high: number, low: number, clusterBits: number): PackedRange {
  const entry = (BigInt(high) << 32n) | BigInt(low);
  const sectorBits = BigInt(clusterBits - 8);
  const shift = 62n - sectorBits;
  const offset = entry & ((1n << shift) - 1n);
  const sectors = Number((entry >> shift) & ((1n << sectorBits) - 1n)) + 1;
  const inSector = Number(offset % BigInt(QCOW2_COMPRESSED_SECTOR_BYTES));
  return {
    offset: offset < 1n << 53n ? Number(offset) : NaN,
    lengthBytes: sectors * QCOW2_COMPRESSED_SECTOR_BYTES - inSector,
  };
}

/** The halves of the entry for so many bytes at this offset. */
export function packedEntry({ offset, lengthBytes }: PackedRange, clusterBits: number): [number, number] {
  const sectorBits = BigInt(clusterBits - 8);
  const first = Math.floor(offset / QCOW2_COMPRESSED_SECTOR_BYTES);
  const last = Math.floor((offset + lengthBytes - 1) / QCOW2_COMPRESSED_SECTOR_BYTES);
  const entry = BigInt(offset) | (BigInt(last - first) << (62n - sectorBits));
  return [(Number(entry >> 32n) | QCOW_OFLAG_COMPRESSED_HIGH) >>> 0, Number(entry & 0xffff_ffffn)];
}

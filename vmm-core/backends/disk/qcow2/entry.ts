/**
 * 64-bit big-endian numbers of qcow2 tables, by halves: no bigint on the way of a request. Offsets in files
 * are below 2^53, or the entry is broken.
 */
import { QCOW2_OFFSET_HIGH, QCOW2_OFFSET_LOW } from '../../../abi/qcow2.ts';

const HALF = 2 ** 32;
const MAX_HIGH = 2 ** 21; // 2^53 >> 32

/** NaN: not below 2^53. */
export function readU64(view: DataView, at: number): number {
  const high = view.getUint32(at);
  return high < MAX_HIGH ? high * HALF + view.getUint32(at + 4) : NaN;
}

export function writeU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, Math.floor(value / HALF));
  view.setUint32(at + 4, value % HALF);
}

/** The offset in an entry, without its flags. NaN: not below 2^53. */
export function entryOffset(high: number, low: number): number {
  const top = high & QCOW2_OFFSET_HIGH;
  return top < MAX_HIGH ? top * HALF + ((low & QCOW2_OFFSET_LOW) >>> 0) : NaN;
}

/** Bits 0 to 55 of an entry that has an offset: its high half with `flags`. */
export function highHalf(offset: number, flags = 0): number {
  return (Math.floor(offset / HALF) | flags) >>> 0;
}

export function lowHalf(offset: number): number {
  return offset % HALF;
}

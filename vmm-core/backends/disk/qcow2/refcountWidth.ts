/**
 * Refcounts of 1, 2, 4, … 64 bits, packed: narrow ones from the low bits of a byte up, wide ones big-endian
 * (docs/interop/qcow2.txt, "Host cluster management").
 */
import { readU64, writeU64 } from './entry.ts';

/** The refcount `index` of those that begin at `start`. 2^order bits wide; what is beyond 2^53 is that. */
export function readRefcount(view: DataView, start: number, index: number, order: number): number {
  switch (order) {
    case 3:
      return view.getUint8(start + index);
    case 4:
      return view.getUint16(start + index * 2);
    case 5:
      return view.getUint32(start + index * 4);
    case 6: {
      const count = readU64(view, start + index * 8);
      return Number.isNaN(count) ? Number.MAX_SAFE_INTEGER : count;
    }
    default:
      return (view.getUint8(start + byteOf(index, order)) >> shiftOf(index, order)) & maskOf(order);
  }
}

export function writeRefcount(
  view: DataView,
  start: number,
  index: number,
  order: number,
  count: number,
): void {
  switch (order) {
    case 3:
      return view.setUint8(start + index, count);
    case 4:
      return view.setUint16(start + index * 2, count);
    case 5:
      return view.setUint32(start + index * 4, count);
    case 6:
      return writeU64(view, start + index * 8, count);
    default: {
      const at = start + byteOf(index, order);
      const shift = shiftOf(index, order);
      view.setUint8(at, (view.getUint8(at) & ~(maskOf(order) << shift)) | (count << shift));
    }
  }
}

function byteOf(index: number, order: number): number {
  return Math.floor(index / 2 ** (3 - order));
}

function shiftOf(index: number, order: number): number {
  return (index % 2 ** (3 - order)) * 2 ** order;
}

function maskOf(order: number): number {
  return 2 ** (2 ** order) - 1;
}

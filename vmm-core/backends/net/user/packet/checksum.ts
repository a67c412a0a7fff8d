/**
 * The Internet checksum, RFC 1071: the ones' complement of the ones' complement sum of 16-bit words. A sum is
 * kept in 16 bits, so that sums of parts may be added to any number.
 */

/**
 * The sum of the bytes from `start` to before `end`, at most 128 KiB. An odd last byte counts as the upper
 * half of a word. Big-endian, and two words at a time.
 */
export function sumOf(view: DataView, start: number, end: number): number {
  let high = 0;
  let low = 0;
  let at = start;
  for (const wide = end - 15; at < wide; at += 16) {
    const a = view.getInt32(at);
    const b = view.getInt32(at + 4);
    const c = view.getInt32(at + 8);
    const d = view.getInt32(at + 12);
    high += (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16);
    low += (a & 0xffff) + (b & 0xffff) + (c & 0xffff) + (d & 0xffff);
  }
  for (; at + 1 < end; at += 2) low += view.getUint16(at);
  if (at < end) high += view.getUint8(at) << 8;
  return fold(fold(high) + fold(low));
}

/** Of two parts of a packet, where the second begins at byte `at`. §2(B): at an odd one its bytes swap. */
export function joinSums(first: number, second: number, at: number): number {
  return fold(first + ((at & 1) === 0 ? second : swapped(second)));
}

/** The sum of a few sums or words, in 16 bits again. */
export function fold(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}

/** What is written into the packet. UDP writes 0xffff where this is 0 (RFC 768). */
export function checksumOf(sum: number): number {
  return ~sum & 0xffff;
}

/** A sum over a checksum that holds. */
export const GOOD_SUM = 0xffff;

/**
 * The sum of the pseudo-header (RFC 9293 §3.1, RFC 8200 §8.1): `addresses` bytes from `addressesAt` on, which
 * are source and destination, one after the other.
 */
export function pseudoHeaderSum(
  view: DataView,
  addressesAt: number,
  addressesBytes: number,
  protocol: number,
  lengthBytes: number,
): number {
  return fold(
    sumOf(view, addressesAt, addressesAt + addressesBytes) +
      protocol +
      (lengthBytes & 0xffff) +
      (lengthBytes >>> 16),
  );
}

function swapped(sum: number): number {
  return ((sum & 0xff) << 8) | (sum >>> 8);
}

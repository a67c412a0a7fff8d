/** Assembles an object that is in pieces: DW_OP_piece and DW_OP_bit_piece. DWARF 5 §2.6.1.2. */

/** One piece's bytes as far as they are known, in the order of the object. */
export interface PieceBytes {
  /** Of the whole place the piece is in; undefined when it is nowhere. */
  readonly bytes: Uint8Array | undefined;
  readonly sizeBits: number;
  /** Where the piece begins in its place. */
  readonly offsetBits: number;
}

export interface JoinedPieces {
  readonly bytes: Uint8Array;
  /** 1 for each byte that is known; one with a bit that is nowhere is not. */
  readonly known: Uint8Array;
}

/** Bits are counted from the same end of a byte as on the machine (§2.6.1.2, §5.7.6). */
export function joinPieces(
  pieces: readonly PieceBytes[],
  sizeBytes: number,
  littleEndian: boolean,
): JoinedPieces {
  const bytes = new Uint8Array(sizeBytes);
  const known = new Uint8Array(sizeBytes);
  const lost = new Uint8Array(sizeBytes);
  let at = 0;
  for (const { bytes: from, sizeBits, offsetBits } of pieces) {
    const count = Math.max(0, Math.min(sizeBits, 8 * sizeBytes - at));
    const isThere = from !== undefined && offsetBits + count <= 8 * from.length;
    if (isThere) copyBits(bytes, at, from, offsetBits, count, littleEndian);
    if (count > 0) (isThere ? known : lost).fill(1, Math.floor(at / 8), Math.ceil((at + count) / 8));
    at += count;
  }
  return { bytes, known: known.map((isKnown, index) => (lost[index] === 1 ? 0 : isKnown)) };
}

function copyBits(
  target: Uint8Array,
  targetBit: number,
  source: Uint8Array,
  sourceBit: number,
  count: number,
  littleEndian: boolean,
): void {
  if (targetBit % 8 === 0 && sourceBit % 8 === 0 && count % 8 === 0) {
    target.set(source.subarray(sourceBit / 8, (sourceBit + count) / 8), targetBit / 8);
    return;
  }
  const mask = (bit: number): number => (littleEndian ? 1 << (bit % 8) : 0x80 >> (bit % 8));
  for (let bit = 0; bit < count; bit++) {
    const isSet = ((source[(sourceBit + bit) >> 3] as number) & mask(sourceBit + bit)) !== 0;
    if (isSet)
      target[(targetBit + bit) >> 3] = (target[(targetBit + bit) >> 3] as number) | mask(targetBit + bit);
  }
}

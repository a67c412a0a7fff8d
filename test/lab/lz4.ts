/**
 * Decoder of the "legacy" LZ4 frame, which the Linux build compresses kernels with (`lz4 -l`): a magic
 * number, then blocks, each a little-endian compressed size and an LZ4 block. lz4_Frame_format.md, "Legacy
 * frame"; lz4_Block_format.md.
 */

const LEGACY_MAGIC = 0x184c2102;

/** Throws when the data is damaged or does not unpack to exactly `unpackedSize` bytes. */
export function decodeLegacyLz4(frame: Buffer, unpackedSize: number): Buffer {
  const magic = frame.readUInt32LE(0);
  if (magic !== LEGACY_MAGIC) throw new Error(`not a legacy LZ4 frame: 0x${magic.toString(16)}`);
  const out = Buffer.alloc(unpackedSize);
  let written = 0;
  for (let at = 4; at < frame.length;) {
    const end = at + 4 + frame.readUInt32LE(at);
    written = decodeBlock(frame.subarray(at + 4, end), out, written);
    at = end;
  }
  if (written !== unpackedSize)
    throw new Error(`LZ4 frame unpacks to ${written} bytes, expected ${unpackedSize}`);
  return out;
}

/** Appends one block at `at`, and returns where it ends. A match may reach back into earlier blocks. */
function decodeBlock(block: Buffer, out: Buffer, at: number): number {
  let from = 0;
  const length = (nibble: number): number => {
    let total = nibble;
    if (nibble < 15) return total;
    for (let byte = 255; byte === 255; total += byte) byte = block.readUInt8(from++);
    return total;
  };
  while (from < block.length) {
    const token = block.readUInt8(from++);
    const literals = length(token >> 4);
    if (from + literals > block.length || at + literals > out.length)
      throw new Error('LZ4 literals out of range');
    block.copy(out, at, from, from + literals);
    from += literals;
    at += literals;
    if (from === block.length) break; // the last sequence is literals only
    const distance = block.readUInt16LE(from);
    from += 2;
    const matched = length(token & 15) + 4;
    if (distance === 0 || distance > at || at + matched > out.length)
      throw new Error('LZ4 match out of range');
    copyMatch(out, at, distance, matched);
    at += matched;
  }
  return at;
}

/** The source may overlap what it produces: that is how a run is coded. */
function copyMatch(out: Buffer, at: number, distance: number, length: number): void {
  if (distance >= length) out.copyWithin(at, at - distance, at - distance + length);
  else for (let i = 0; i < length; i++) out[at + i] = out[at + i - distance] ?? 0;
}

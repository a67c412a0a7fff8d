/**
 * A SymbolIndex as bytes on disk. Read whole and checked before anything is trusted; if anything is wrong,
 * there is no index and a new one is built. Little endian, tables aligned to 8 bytes, in the order of TABLES:
 *
 *   0  magic "TFSYMIDX"
 *   8  u32 version
 *  12  u32 length of the identity
 *  16  SHA-256 of all bytes from 48 on
 *  48  u64 byte length of each table
 *      identity (UTF-8): which file it is the index of, see indexStore.ts
 *      tables
 */
import { createHash } from 'node:crypto';
import type { SymbolIndexData } from './symbolIndex.ts';

/** Raised whenever what the tables mean changes. */
export const INDEX_VERSION = 2;

const MAGIC = new TextEncoder().encode('TFSYMIDX');
const CHECKED_FROM = 48;

type Table = Uint8Array | Uint32Array | Float64Array;
type TableType = Uint8ArrayConstructor | Uint32ArrayConstructor | Float64ArrayConstructor;

const TABLES: readonly (readonly [keyof SymbolIndexData, TableType])[] = [
  ['hashes', Uint32Array],
  ['offsets', Float64Array],
  ['kinds', Uint8Array],
  ['paths', Uint8Array],
  ['pathStarts', Uint32Array],
  ['firstUse', Uint32Array],
  ['useUnits', Float64Array],
  ['useFiles', Uint32Array],
  ['useFirstLines', Uint32Array],
  ['useLastLines', Uint32Array],
];

export function encodeIndex(data: SymbolIndexData, identity: string): Uint8Array {
  const name = new TextEncoder().encode(identity);
  const lengths = TABLES.map(([key]) => data[key].byteLength);
  const tablesStart = aligned(CHECKED_FROM + 8 * TABLES.length + name.length);
  const bytes = new Uint8Array(lengths.reduce((at, length) => aligned(at + length), tablesStart));
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint32(8, INDEX_VERSION, true);
  view.setUint32(12, name.length, true);
  lengths.forEach((length, index) => view.setBigUint64(CHECKED_FROM + 8 * index, BigInt(length), true));
  bytes.set(name, CHECKED_FROM + 8 * TABLES.length);
  let at = tablesStart;
  for (const [key] of TABLES) {
    const { buffer, byteOffset, byteLength } = data[key];
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength), at);
    at = aligned(at + byteLength);
  }
  bytes.set(checksum(bytes), 16);
  return bytes;
}

/**
 * Undefined when the bytes are not an index, or are of another version or file, or damaged. The result shares
 * their memory.
 */
export function decodeIndex(bytes: Uint8Array, identity: string): SymbolIndexData | undefined {
  const headerBytes = CHECKED_FROM + 8 * TABLES.length;
  if (bytes.length < headerBytes || bytes.byteOffset % 8 !== 0 || !MAGIC.every((it, i) => bytes[i] === it))
    return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const nameBytes = view.getUint32(12, true);
  if (view.getUint32(8, true) !== INDEX_VERSION || headerBytes + nameBytes > bytes.length) return undefined;
  const name = new TextDecoder().decode(bytes.subarray(headerBytes, headerBytes + nameBytes));
  if (name !== identity || !checksum(bytes).every((it, i) => bytes[16 + i] === it)) return undefined;
  const tables: Partial<Record<keyof SymbolIndexData, Table>> = {};
  let at = aligned(headerBytes + nameBytes);
  for (const [index, [key, type]] of TABLES.entries()) {
    const length = Number(view.getBigUint64(CHECKED_FROM + 8 * index, true));
    if (at + length > bytes.length || length % type.BYTES_PER_ELEMENT !== 0) return undefined;
    tables[key] = new type(
      bytes.buffer as ArrayBuffer,
      bytes.byteOffset + at,
      length / type.BYTES_PER_ELEMENT,
    );
    at = aligned(at + length);
  }
  return isConsistent(tables as SymbolIndexData) ? (tables as SymbolIndexData) : undefined;
}

function isConsistent(data: SymbolIndexData): boolean {
  const { hashes, offsets, kinds, pathStarts, firstUse, useUnits } = data;
  const uses = [data.useFiles, data.useFirstLines, data.useLastLines];
  return (
    offsets.length === hashes.length &&
    kinds.length === hashes.length &&
    firstUse.length === pathStarts.length + 1 &&
    uses.every(({ length }) => length === useUnits.length)
  );
}

function checksum(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes.subarray(CHECKED_FROM)).digest();
}

function aligned(offset: number): number {
  return Math.ceil(offset / 8) * 8;
}

/** The header of a qcow2 image, and the extensions behind it. */
import {
  QCOW2_AUTOCLEAR_FEATURES,
  QCOW2_BACKING_FILE_OFFSET,
  QCOW2_BACKING_FILE_SIZE,
  QCOW2_CLUSTER_BITS,
  QCOW2_COMPATIBLE_FEATURES,
  QCOW2_COMPRESSION,
  QCOW2_COMPRESSION_TYPE,
  QCOW2_COMPAT_LAZY_REFCOUNTS_BITNR,
  QCOW2_CRYPT,
  QCOW2_CRYPT_METHOD,
  QCOW2_ENTRY_BYTES,
  QCOW2_EXT_BACKING_FORMAT,
  QCOW2_EXT_BITMAPS,
  QCOW2_EXT_END,
  QCOW2_EXT_FEATURE_TABLE,
  QCOW2_FEATURE_NAME_BYTES,
  QCOW2_HEADER_LENGTH,
  QCOW2_INCOMPATIBLE_FEATURES,
  QCOW2_INCOMPAT_COMPRESSION_BITNR,
  QCOW2_INCOMPAT_CORRUPT_BITNR,
  QCOW2_INCOMPAT_DATA_FILE_BITNR,
  QCOW2_INCOMPAT_DIRTY_BITNR,
  QCOW2_INCOMPAT_EXTL2_BITNR,
  QCOW2_L1_SIZE,
  QCOW2_L1_TABLE_OFFSET,
  QCOW2_MAGIC,
  QCOW2_MAX_BACKING_NAME_BYTES,
  QCOW2_MAX_CLUSTER_BITS,
  QCOW2_MAX_L1_BYTES,
  QCOW2_MAX_REFCOUNT_ORDER,
  QCOW2_MAX_REFTABLE_BYTES,
  QCOW2_MAX_SNAPSHOTS,
  QCOW2_MIN_CLUSTER_BITS,
  QCOW2_NB_SNAPSHOTS,
  QCOW2_REFCOUNT_ORDER,
  QCOW2_REFCOUNT_TABLE_CLUSTERS,
  QCOW2_REFCOUNT_TABLE_OFFSET,
  QCOW2_SIZE,
  QCOW2_SNAPSHOTS_OFFSET,
  QCOW2_V2_HEADER_BYTES,
  QCOW2_V3_HEADER_BYTES,
  QCOW2_VERSION,
} from '../../../abi/qcow2.ts';
import { formatSize } from '../../../config/size.ts';
import { UserError } from '../../../errors.ts';
import { readU64 } from './entry.ts';

/** What the image is not, or what is wrong with it: the part of a sentence that follows its name. */
export class Qcow2HeaderError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'Qcow2HeaderError';
  }
}

export interface BackingName {
  readonly name: string;
  /** Undefined: the header does not say. */
  readonly format: string | undefined;
}

export interface Bitmaps {
  readonly count: number;
  readonly directoryOffset: number;
  readonly directoryBytes: number;
}

export interface Qcow2Header {
  readonly version: 2 | 3;
  readonly clusterBits: number;
  readonly sizeBytes: number;
  /** Entries. */
  readonly l1Size: number;
  readonly l1Offset: number;
  readonly refcountTableOffset: number;
  readonly refcountTableClusters: number;
  /** A refcount is 2^order bits wide. */
  readonly refcountOrder: number;
  readonly snapshots: number;
  readonly snapshotsOffset: number;
  readonly isDirty: boolean;
  readonly isCorrupt: boolean;
  readonly hasLazyRefcounts: boolean;
  /** A bitset; unknown ones are cleared by whoever writes to the image. */
  readonly autoclearFeatures: bigint;
  readonly compression: 'zlib' | 'zstd';
  readonly backing: BackingName | undefined;
  readonly bitmaps: Bitmaps | undefined;
}

const INCOMPATIBLE_NAMES: Readonly<Record<number, string>> = {
  [QCOW2_INCOMPAT_DATA_FILE_BITNR]: 'an external data file',
  [QCOW2_INCOMPAT_EXTL2_BITNR]: 'extended L2 entries',
};
const KNOWN_INCOMPATIBLE =
  bit(QCOW2_INCOMPAT_DIRTY_BITNR) | bit(QCOW2_INCOMPAT_CORRUPT_BITNR) | bit(QCOW2_INCOMPAT_COMPRESSION_BITNR);
const CONVERT = 'convert it with qemu-img';
const CUT_SHORT = 'is cut short in its header: copy it again';

interface Extensions {
  readonly backingFormat: string | undefined;
  readonly featureNames: ReadonlyMap<number, string>;
  readonly bitmaps: Bitmaps | undefined;
}

/** By its signature. */
export function isQcow2(start: Uint8Array): boolean {
  return start.length >= 4 && new DataView(start.buffer, start.byteOffset).getUint32(0) === QCOW2_MAGIC;
}

/** `start`: the file's first bytes, a cluster of them if it has so many. Throws Qcow2HeaderError. */
export function parseHeader(start: Uint8Array): Qcow2Header {
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  if (!isQcow2(start)) throw new Qcow2HeaderError('is not a qcow2 image');
  if (start.length < QCOW2_V2_HEADER_BYTES) throw new Qcow2HeaderError(CUT_SHORT);
  const version = view.getUint32(QCOW2_VERSION);
  if (version !== 2 && version !== 3)
    throw new Qcow2HeaderError(`is a qcow2 image of version ${version}, not 2 or 3: ${CONVERT}`);
  const clusterBits = inRange(
    view.getUint32(QCOW2_CLUSTER_BITS),
    QCOW2_MIN_CLUSTER_BITS,
    QCOW2_MAX_CLUSTER_BITS,
    'cluster_bits',
  );
  const crypt = view.getUint32(QCOW2_CRYPT_METHOD);
  if (crypt !== QCOW2_CRYPT.none)
    throw new Qcow2HeaderError(`is encrypted (${cryptName(crypt)}), which is not supported: ${CONVERT}`);
  const isV3 = version === 3;
  const headerBytes = isV3 ? headerLength(view, 1 << clusterBits) : QCOW2_V2_HEADER_BYTES;
  const extensions = parseExtensions(view, headerBytes, 1 << clusterBits);
  const incompatible = isV3 ? view.getBigUint64(QCOW2_INCOMPATIBLE_FEATURES) : 0n;
  assertKnown(incompatible, extensions.featureNames);
  const header: Qcow2Header = {
    version,
    clusterBits,
    sizeBytes: offsetAt(view, QCOW2_SIZE, 'size'),
    l1Size: view.getUint32(QCOW2_L1_SIZE),
    l1Offset: offsetAt(view, QCOW2_L1_TABLE_OFFSET, 'l1_table_offset'),
    refcountTableOffset: offsetAt(view, QCOW2_REFCOUNT_TABLE_OFFSET, 'refcount_table_offset'),
    refcountTableClusters: view.getUint32(QCOW2_REFCOUNT_TABLE_CLUSTERS),
    refcountOrder: isV3
      ? inRange(view.getUint32(QCOW2_REFCOUNT_ORDER), 0, QCOW2_MAX_REFCOUNT_ORDER, 'refcount_order')
      : 4,
    snapshots: inRange(view.getUint32(QCOW2_NB_SNAPSHOTS), 0, QCOW2_MAX_SNAPSHOTS, 'nb_snapshots'),
    snapshotsOffset: offsetAt(view, QCOW2_SNAPSHOTS_OFFSET, 'snapshots_offset'),
    isDirty: hasBit(incompatible, QCOW2_INCOMPAT_DIRTY_BITNR),
    isCorrupt: hasBit(incompatible, QCOW2_INCOMPAT_CORRUPT_BITNR),
    hasLazyRefcounts:
      isV3 && hasBit(view.getBigUint64(QCOW2_COMPATIBLE_FEATURES), QCOW2_COMPAT_LAZY_REFCOUNTS_BITNR),
    autoclearFeatures: isV3 ? view.getBigUint64(QCOW2_AUTOCLEAR_FEATURES) : 0n,
    compression: compressionOf(view, incompatible, headerBytes),
    backing: backingOf(view, 1 << clusterBits, extensions.backingFormat),
    bitmaps: extensions.bitmaps,
  };
  assertTables(header);
  return header;
}

export function hasBit(features: bigint, bitNumber: number): boolean {
  return (features & bit(bitNumber)) !== 0n;
}

export function bit(bitNumber: number): bigint {
  return 1n << BigInt(bitNumber);
}

/** Throws UserError: the L1 table of a disk of this size would be larger than QEMU and we read. */
export function assertDiskFits(sizeBytes: number, clusterBits: number): void {
  const mostEntries = QCOW2_MAX_L1_BYTES / QCOW2_ENTRY_BYTES;
  if (l1EntriesFor(sizeBytes, clusterBits) <= mostEntries) return;
  const clusterBytes = 2 ** clusterBits;
  const mostBytes = mostEntries * (clusterBytes / QCOW2_ENTRY_BYTES) * clusterBytes;
  throw new UserError(
    `a disk of ${formatSize(sizeBytes)} is too large: with clusters of ${clusterBytes} bytes, qcow2 ends at ${formatSize(mostBytes)}`,
  );
}

/** L1 entries that a disk of this size needs. */
export function l1EntriesFor(sizeBytes: number, clusterBits: number): number {
  const clusterBytes = 2 ** clusterBits;
  return Math.ceil(sizeBytes / (clusterBytes * (clusterBytes / QCOW2_ENTRY_BYTES)));
}

function headerLength(view: DataView, clusterBytes: number): number {
  if (view.byteLength < QCOW2_V3_HEADER_BYTES) throw new Qcow2HeaderError(CUT_SHORT);
  return inRange(view.getUint32(QCOW2_HEADER_LENGTH), QCOW2_V3_HEADER_BYTES, clusterBytes, 'header_length');
}

function inRange(value: number, min: number, max: number, field: string): number {
  if (value < min || value > max)
    throw new Qcow2HeaderError(`has a broken header: ${field} is ${value}, not ${min} to ${max}`);
  return value;
}

function offsetAt(view: DataView, at: number, field: string): number {
  const value = readU64(view, at);
  if (Number.isNaN(value))
    throw new Qcow2HeaderError(
      `has a broken header: ${field} is 0x${view.getBigUint64(at).toString(16)}, 2^53 or more`,
    );
  return value;
}

function cryptName(method: number): string {
  return Object.entries(QCOW2_CRYPT).find(([, it]) => it === method)?.[0] ?? `method ${method}`;
}

function assertKnown(incompatible: bigint, names: ReadonlyMap<number, string>): void {
  for (let number = 0; number < 64; number++) {
    if (!hasBit(incompatible & ~KNOWN_INCOMPATIBLE, number)) continue;
    const name = INCOMPATIBLE_NAMES[number] ?? featureName(number, names.get(number));
    throw new Qcow2HeaderError(`needs ${name}, which is not supported: ${CONVERT}`);
  }
}

function featureName(number: number, name: string | undefined): string {
  return name === undefined
    ? `the incompatible feature ${number}`
    : `the incompatible feature ${JSON.stringify(name)}`;
}

function compressionOf(view: DataView, incompatible: bigint, headerBytes: number): 'zlib' | 'zstd' {
  const hasType = headerBytes > QCOW2_COMPRESSION_TYPE && view.byteLength > QCOW2_COMPRESSION_TYPE;
  const type = hasType ? view.getUint8(QCOW2_COMPRESSION_TYPE) : QCOW2_COMPRESSION.zlib;
  const isMarked = hasBit(incompatible, QCOW2_INCOMPAT_COMPRESSION_BITNR);
  if (isMarked !== (type !== QCOW2_COMPRESSION.zlib))
    throw new Qcow2HeaderError('has a broken header: compression_type and its feature bit differ');
  if (type === QCOW2_COMPRESSION.zlib) return 'zlib';
  if (type === QCOW2_COMPRESSION.zstd) return 'zstd';
  throw new Qcow2HeaderError(`is compressed by method ${type}, which is not supported: ${CONVERT}`);
}

function backingOf(
  view: DataView,
  clusterBytes: number,
  format: string | undefined,
): BackingName | undefined {
  const offset = readU64(view, QCOW2_BACKING_FILE_OFFSET);
  const lengthBytes = view.getUint32(QCOW2_BACKING_FILE_SIZE);
  if (offset === 0 || lengthBytes === 0) return undefined;
  const end = Math.min(clusterBytes, view.byteLength);
  if (!(offset + lengthBytes <= end) || lengthBytes > QCOW2_MAX_BACKING_NAME_BYTES)
    throw new Qcow2HeaderError('has a broken header: the name of its backing file is outside the header');
  return { name: text(view, offset, lengthBytes), format };
}

function parseExtensions(view: DataView, start: number, clusterBytes: number): Extensions {
  const end = Math.min(clusterBytes, view.byteLength);
  let backingFormat: string | undefined;
  let bitmaps: Bitmaps | undefined;
  const featureNames = new Map<number, string>();
  for (let at = start; at + 8 <= end;) {
    const type = view.getUint32(at);
    const lengthBytes = view.getUint32(at + 4);
    if (type === QCOW2_EXT_END) break;
    if (at + 8 + lengthBytes > end)
      throw new Qcow2HeaderError(`has a broken header: the extension at 0x${at.toString(16)} is too long`);
    if (type === QCOW2_EXT_BACKING_FORMAT) backingFormat = text(view, at + 8, lengthBytes);
    if (type === QCOW2_EXT_FEATURE_TABLE) addFeatureNames(featureNames, view, at + 8, lengthBytes);
    if (type === QCOW2_EXT_BITMAPS && lengthBytes >= 24) bitmaps = bitmapsAt(view, at + 8);
    at += 8 + Math.ceil(lengthBytes / 8) * 8;
  }
  return { backingFormat, featureNames, bitmaps };
}

function bitmapsAt(view: DataView, at: number): Bitmaps {
  return {
    count: view.getUint32(at),
    directoryBytes: readU64(view, at + 8),
    directoryOffset: readU64(view, at + 16),
  };
}

function addFeatureNames(
  names: Map<number, string>,
  view: DataView,
  start: number,
  lengthBytes: number,
): void {
  const end = start + lengthBytes - QCOW2_FEATURE_NAME_BYTES;
  for (let at = start; at <= end; at += QCOW2_FEATURE_NAME_BYTES) {
    if (view.getUint8(at) !== 0) continue; // compatible and autoclear ones are of no interest
    names.set(view.getUint8(at + 1), text(view, at + 2, QCOW2_FEATURE_NAME_BYTES - 2).replace(/\0.*$/s, ''));
  }
}

function text(view: DataView, at: number, lengthBytes: number): string {
  // a copy: TextDecoder takes no shared memory
  return new TextDecoder().decode(
    Uint8Array.from(new Uint8Array(view.buffer, view.byteOffset + at, lengthBytes)),
  );
}

function assertTables(header: Qcow2Header): void {
  const clusterBytes = 2 ** header.clusterBits;
  const { l1Size, refcountTableClusters } = header;
  if (l1Size * QCOW2_ENTRY_BYTES > QCOW2_MAX_L1_BYTES)
    throw new Qcow2HeaderError(`has a broken header: an L1 table of ${l1Size} entries is too large`);
  if (l1Size < l1EntriesFor(header.sizeBytes, header.clusterBits))
    throw new Qcow2HeaderError(
      `has a broken header: an L1 table of ${l1Size} entries is too small for its size`,
    );
  if (refcountTableClusters === 0 || refcountTableClusters * clusterBytes > QCOW2_MAX_REFTABLE_BYTES)
    throw new Qcow2HeaderError(`has a broken header: a refcount table of ${refcountTableClusters} clusters`);
  const offsets = {
    l1_table_offset: header.l1Offset,
    refcount_table_offset: header.refcountTableOffset,
    snapshots_offset: header.snapshots === 0 ? 0 : header.snapshotsOffset,
  };
  for (const [field, offset] of Object.entries(offsets))
    if (offset % clusterBytes !== 0)
      throw new Qcow2HeaderError(`has a broken header: ${field} 0x${offset.toString(16)} is not aligned`);
}

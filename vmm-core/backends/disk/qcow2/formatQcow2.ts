/** A new, empty qcow2 image: header, refcount table, refcount blocks, L1 table, one behind the other. */
import {
  QCOW2_BACKING_FILE_OFFSET,
  QCOW2_BACKING_FILE_SIZE,
  QCOW2_CLUSTER_BITS,
  QCOW2_COMPATIBLE_FEATURES,
  QCOW2_COMPAT_LAZY_REFCOUNTS_BITNR,
  QCOW2_ENTRY_BYTES,
  QCOW2_EXT_BACKING_FORMAT,
  QCOW2_HEADER_LENGTH,
  QCOW2_L1_SIZE,
  QCOW2_L1_TABLE_OFFSET,
  QCOW2_MAGIC,
  QCOW2_MAX_BACKING_NAME_BYTES,
  QCOW2_MAX_CLUSTER_BITS,
  QCOW2_MAX_REFTABLE_BYTES,
  QCOW2_MIN_CLUSTER_BITS,
  QCOW2_REFCOUNT_ORDER,
  QCOW2_REFCOUNT_TABLE_CLUSTERS,
  QCOW2_REFCOUNT_TABLE_OFFSET,
  QCOW2_SIZE,
  QCOW2_V2_HEADER_BYTES,
  QCOW2_VERSION,
} from '../../../abi/qcow2.ts';
import { UserError } from '../../../errors.ts';
import type { ImageFile } from '../imageFile.ts';
import { writeU64 } from './entry.ts';
import { assertDiskFits, bit, l1EntriesFor } from './header.ts';
import { writeRefcount } from './refcountWidth.ts';

export interface Qcow2Format {
  readonly sizeBytes: number;
  readonly version: 2 | 3;
  readonly clusterBytes: number;
  readonly refcountBits: number;
  readonly hasLazyRefcounts: boolean;
  readonly backing: { readonly name: string; readonly format: string } | undefined;
}

export const DEFAULT_FORMAT = {
  version: 3,
  clusterBytes: 65536,
  refcountBits: 16,
  hasLazyRefcounts: false,
  backing: undefined,
} as const;

/** With compression_type, as QEMU writes it. */
const V3_HEADER_BYTES = 112;

/** Clusters of each part, in the order of the file. */
interface Parts {
  readonly tableClusters: number;
  readonly blocks: number;
  readonly l1Clusters: number;
  readonly total: number;
}

/** Throws UserError for what the format cannot have, and DiskError. */
export function formatQcow2(file: ImageFile, format: Qcow2Format): void {
  assertPossible(format);
  const { clusterBytes } = format;
  const order = Math.log2(format.refcountBits);
  const parts = partsOf(format);
  const bytes = new Uint8Array(parts.total * clusterBytes);
  const view = new DataView(bytes.buffer);
  writeHeader(view, format, parts);
  writeExtensions(bytes, format);
  const blocksAt = (1 + parts.tableClusters) * clusterBytes;
  for (let index = 0; index < parts.blocks; index++)
    writeU64(view, clusterBytes + index * QCOW2_ENTRY_BYTES, blocksAt + index * clusterBytes);
  for (let cluster = 0; cluster < parts.total; cluster++) writeRefcount(view, blocksAt, cluster, order, 1);
  file.write(bytes, 0);
}

function assertPossible({
  clusterBytes,
  refcountBits,
  version,
  hasLazyRefcounts,
  sizeBytes,
  backing,
}: Qcow2Format): void {
  const clusterBits = Math.log2(clusterBytes);
  if (
    !Number.isInteger(clusterBits) ||
    clusterBits < QCOW2_MIN_CLUSTER_BITS ||
    clusterBits > QCOW2_MAX_CLUSTER_BITS
  )
    throw new UserError(`a cluster has 512 bytes to 2 MiB, a power of two, not ${clusterBytes} bytes`);
  if (![1, 2, 4, 8, 16, 32, 64].includes(refcountBits))
    throw new UserError(`a refcount has 1, 2, 4, 8, 16, 32 or 64 bits, not ${refcountBits}`);
  if (version === 2 && (refcountBits !== 16 || hasLazyRefcounts))
    throw new UserError('qcow2 version 2 has refcounts of 16 bits, which are not lazy: use version 3');
  assertDiskFits(sizeBytes, clusterBits);
  if (
    backing !== undefined &&
    Buffer.byteLength(backing.name) > Math.min(QCOW2_MAX_BACKING_NAME_BYTES, clusterBytes / 2)
  )
    throw new UserError(`the name of the backing file is too long: ${backing.name}`);
}

/** The refcount table has room for the blocks of the whole disk, so that it need not grow. */
function partsOf({ sizeBytes, clusterBytes, refcountBits }: Qcow2Format): Parts {
  const perTable = clusterBytes / QCOW2_ENTRY_BYTES;
  const perBlock = (clusterBytes * 8) / refcountBits;
  const l1Entries = l1EntriesFor(sizeBytes, Math.log2(clusterBytes));
  const l1Clusters = Math.ceil(l1Entries / perTable);
  const clusters = sizeBytes / clusterBytes + l1Entries + l1Clusters;
  const tableClusters = Math.min(
    Math.ceil((clusters * (1 + 2 / perBlock) + 2) / (perBlock * perTable)),
    QCOW2_MAX_REFTABLE_BYTES / clusterBytes,
  );
  let blocks = 1;
  while (1 + tableClusters + blocks + l1Clusters > blocks * perBlock) blocks++;
  return { tableClusters, blocks, l1Clusters, total: 1 + tableClusters + blocks + l1Clusters };
}

function writeHeader(view: DataView, format: Qcow2Format, parts: Parts): void {
  const { clusterBytes, sizeBytes, version } = format;
  const clusterBits = Math.log2(clusterBytes);
  view.setUint32(0, QCOW2_MAGIC);
  view.setUint32(QCOW2_VERSION, version);
  view.setUint32(QCOW2_CLUSTER_BITS, clusterBits);
  writeU64(view, QCOW2_SIZE, sizeBytes);
  view.setUint32(QCOW2_L1_SIZE, l1EntriesFor(sizeBytes, clusterBits));
  writeU64(view, QCOW2_L1_TABLE_OFFSET, (1 + parts.tableClusters + parts.blocks) * clusterBytes);
  writeU64(view, QCOW2_REFCOUNT_TABLE_OFFSET, clusterBytes);
  view.setUint32(QCOW2_REFCOUNT_TABLE_CLUSTERS, parts.tableClusters);
  if (version === 2) return;
  if (format.hasLazyRefcounts)
    view.setBigUint64(QCOW2_COMPATIBLE_FEATURES, bit(QCOW2_COMPAT_LAZY_REFCOUNTS_BITNR));
  view.setUint32(QCOW2_REFCOUNT_ORDER, Math.log2(format.refcountBits));
  view.setUint32(QCOW2_HEADER_LENGTH, V3_HEADER_BYTES);
}

/** The backing file's format, the end (zeros), and its name. */
function writeExtensions(bytes: Uint8Array, { backing, version }: Qcow2Format): void {
  if (backing === undefined) return;
  const view = new DataView(bytes.buffer);
  const at = version === 2 ? QCOW2_V2_HEADER_BYTES : V3_HEADER_BYTES;
  const format = new TextEncoder().encode(backing.format);
  const name = new TextEncoder().encode(backing.name);
  view.setUint32(at, QCOW2_EXT_BACKING_FORMAT);
  view.setUint32(at + 4, format.length);
  bytes.set(format, at + 8);
  const nameAt = at + 8 + Math.ceil(format.length / 8) * 8 + 8;
  bytes.set(name, nameAt);
  writeU64(view, QCOW2_BACKING_FILE_OFFSET, nameAt);
  view.setUint32(QCOW2_BACKING_FILE_SIZE, name.length);
}

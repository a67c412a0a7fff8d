/**
 * New, empty disk images: raw ones are holes, qcow2 ones a header and tables that say that nothing is
 * allocated.
 */
import { closeSync, ftruncateSync, openSync, rmSync, writeSync } from 'node:fs';
import type { DiskFormat } from '../../../vmm-core/config/configHost.ts';

const CLUSTER_BITS = 16;
const CLUSTER = 1 << CLUSTER_BITS;
/** What one entry of the first table covers: a cluster full of 8-byte entries, a cluster each. */
const L1_ENTRY_COVERS = (CLUSTER / 8) * CLUSTER;
const HEADER_LENGTH = 104;
/** Header, reference count table, its one block, first table: a cluster each. */
const CLUSTERS = 4;

/** Fails when the file exists already; leaves none behind when it fails. */
export function createDisk(path: string, format: DiskFormat, sizeBytes: number): void {
  const image = format === 'raw' ? undefined : emptyQcow2(sizeBytes);
  const fd = openSync(path, 'wx', 0o600);
  try {
    if (image === undefined) ftruncateSync(fd, sizeBytes);
    else for (let done = 0; done < image.length;) done += writeSync(fd, image, done);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** qcow2 version 3 (QEMU's docs/interop/qcow2.txt, "Header"). All numbers are big-endian. */
export function emptyQcow2(sizeBytes: number): Uint8Array {
  const image = new Uint8Array(CLUSTERS * CLUSTER);
  const view = new DataView(image.buffer);
  view.setUint32(0, 0x514649fb); // magic: QFI\xfb
  view.setUint32(4, 3); // version
  view.setUint32(20, CLUSTER_BITS);
  view.setBigUint64(24, BigInt(sizeBytes));
  view.setUint32(36, Math.ceil(sizeBytes / L1_ENTRY_COVERS)); // l1_size
  view.setBigUint64(40, BigInt(3 * CLUSTER)); // l1_table_offset
  view.setBigUint64(48, BigInt(CLUSTER)); // refcount_table_offset
  view.setUint32(56, 1); // refcount_table_clusters
  view.setUint32(96, 4); // refcount_order: 16 bits
  view.setUint32(100, HEADER_LENGTH);
  view.setBigUint64(CLUSTER, BigInt(2 * CLUSTER)); // the one block of reference counts
  for (let i = 0; i < CLUSTERS; i++) view.setUint16(2 * CLUSTER + 2 * i, 1);
  return image;
}

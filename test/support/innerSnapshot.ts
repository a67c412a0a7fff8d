/** An internal snapshot of a qcow2 image in memory, taken as QEMU takes one, and the disk as it was then. */
import {
  QCOW2_ENTRY_BYTES,
  QCOW2_L1_SIZE,
  QCOW2_L1_TABLE_OFFSET,
  QCOW2_NB_SNAPSHOTS,
  QCOW2_SIZE,
  QCOW2_SNAPSHOT_EXTRA_BYTES,
  QCOW2_SNAPSHOT_FIXED_BYTES,
  QCOW2_SNAPSHOT_ID_BYTES,
  QCOW2_SNAPSHOT_L1_OFFSET,
  QCOW2_SNAPSHOT_L1_SIZE,
  QCOW2_SNAPSHOT_NAME_BYTES,
  QCOW2_SNAPSHOTS_OFFSET,
  QCOW_OFLAG_COPIED_HIGH,
} from '../../vmm-core/abi/qcow2.ts';
import { CLUSTER, hasPlace, kindOf, packedRange } from '../../vmm-core/backends/disk/qcow2/clusterEntry.ts';
import { entryOffset, readU64, writeU64 } from '../../vmm-core/backends/disk/qcow2/entry.ts';
import { Layout } from '../../vmm-core/backends/disk/qcow2/layout.ts';
import { openQcow2, readHeader } from '../../vmm-core/backends/disk/qcow2/openQcow2.ts';
import type { Qcow2Image } from '../../vmm-core/backends/disk/qcow2/qcow2Image.ts';
import { Refcounts } from '../../vmm-core/backends/disk/qcow2/refcounts.ts';
import { RecordedFile } from './recordedFile.ts';

const EXTRA_BYTES = 16; // size of the VM's state, size of the disk
const ENTRY_BYTES = QCOW2_SNAPSHOT_FIXED_BYTES + EXTRA_BYTES + 8; // with an id and a name of one letter each

/** Of an image that is closed. */
export function takeSnapshot(file: RecordedFile): void {
  const header = readHeader(file);
  const layout = new Layout(file, header, false);
  const refcounts = new Refcounts(layout);
  const { clusterBytes } = layout;
  const l1 = readBytes(file, header.l1Offset, header.l1Size * QCOW2_ENTRY_BYTES);
  eachEntry(l1, (high, low) => shareTable(file, refcounts, entryOffset(high, low), header.clusterBits));
  file.write(new Uint8Array(l1.buffer), header.l1Offset);
  const l1Offset = newPlace(file, refcounts, clusterBytes, new Uint8Array(l1.buffer));
  const entry = new DataView(new ArrayBuffer(ENTRY_BYTES));
  writeU64(entry, QCOW2_SNAPSHOT_L1_OFFSET, l1Offset);
  entry.setUint32(QCOW2_SNAPSHOT_L1_SIZE, header.l1Size);
  entry.setUint16(QCOW2_SNAPSHOT_ID_BYTES, 1);
  entry.setUint16(QCOW2_SNAPSHOT_NAME_BYTES, 1);
  entry.setUint32(QCOW2_SNAPSHOT_EXTRA_BYTES, EXTRA_BYTES);
  writeU64(entry, QCOW2_SNAPSHOT_FIXED_BYTES + 8, header.sizeBytes);
  new Uint8Array(entry.buffer).set(Buffer.from('1s'), QCOW2_SNAPSHOT_FIXED_BYTES + EXTRA_BYTES);
  const tableOffset = newPlace(file, refcounts, clusterBytes, new Uint8Array(entry.buffer));
  const fields = new DataView(new ArrayBuffer(12));
  fields.setUint32(0, 1);
  writeU64(fields, QCOW2_SNAPSHOTS_OFFSET - QCOW2_NB_SNAPSHOTS, tableOffset);
  file.write(new Uint8Array(fields.buffer), QCOW2_NB_SNAPSHOTS);
  refcounts.write();
}

/** The disk as it was when its only snapshot was taken. */
export function openSnapshot(image: Uint8Array): Qcow2Image {
  const bytes = Uint8Array.from(image);
  const view = new DataView(bytes.buffer);
  const entry = readU64(view, QCOW2_SNAPSHOTS_OFFSET);
  writeU64(view, QCOW2_L1_TABLE_OFFSET, readU64(view, entry + QCOW2_SNAPSHOT_L1_OFFSET));
  view.setUint32(QCOW2_L1_SIZE, view.getUint32(entry + QCOW2_SNAPSHOT_L1_SIZE));
  writeU64(view, QCOW2_SIZE, readU64(view, entry + QCOW2_SNAPSHOT_FIXED_BYTES + 8));
  return openQcow2(new RecordedFile(bytes), {
    isReadOnly: true,
    discards: false,
    isUnsafe: false,
    backing: undefined,
  });
}

/** One reference more for an L2 table, and for what it refers to. */
function shareTable(file: RecordedFile, refcounts: Refcounts, offset: number, clusterBits: number): void {
  const clusterBytes = 2 ** clusterBits;
  const addOne = (cluster: number): void => refcounts.set(cluster, refcounts.get(cluster) + 1);
  addOne(offset / clusterBytes);
  const table = readBytes(file, offset, clusterBytes);
  eachEntry(table, (high, low) => {
    if (kindOf(high, low) !== CLUSTER.PACKED) return addOne(entryOffset(high, low) / clusterBytes);
    const range = packedRange(high, low, clusterBits);
    const last = Math.floor((range.offset + range.lengthBytes - 1) / clusterBytes);
    for (let it = Math.floor(range.offset / clusterBytes); it <= last; it++) addOne(it);
  });
  file.write(new Uint8Array(table.buffer), offset);
}

/** Those that refer to something, which is not the disk's alone from now on. */
function eachEntry(table: DataView, share: (high: number, low: number) => void): void {
  for (let at = 0; at < table.byteLength; at += QCOW2_ENTRY_BYTES) {
    const [high, low] = [table.getUint32(at), table.getUint32(at + 4)];
    if (kindOf(high, low) !== CLUSTER.PACKED && !hasPlace(high, low)) continue;
    share(high, low);
    table.setUint32(at, (high & ~QCOW_OFLAG_COPIED_HIGH) >>> 0);
  }
}

function newPlace(file: RecordedFile, refcounts: Refcounts, clusterBytes: number, bytes: Uint8Array): number {
  const clusters = Math.ceil(bytes.length / clusterBytes);
  const padded = new Uint8Array(clusters * clusterBytes);
  padded.set(bytes);
  const offset = refcounts.allocate(clusters) * clusterBytes;
  file.write(padded, offset);
  return offset;
}

function readBytes(file: RecordedFile, offset: number, lengthBytes: number): DataView {
  const bytes = new Uint8Array(lengthBytes);
  file.read(bytes, offset);
  return new DataView(bytes.buffer);
}

/** The table of the snapshots inside an image (qcow2, "Snapshots"), whose entries differ in length. */
import {
  QCOW2_MAX_SNAPSHOT_TABLE_BYTES,
  QCOW2_SNAPSHOT_EXTRA_BYTES,
  QCOW2_SNAPSHOT_FIXED_BYTES,
  QCOW2_SNAPSHOT_ID_BYTES,
  QCOW2_SNAPSHOT_L1_OFFSET,
  QCOW2_SNAPSHOT_L1_SIZE,
  QCOW2_SNAPSHOT_NAME_BYTES,
} from '../../../abi/qcow2.ts';
import type { ImageFile } from '../imageFile.ts';
import { readU64 } from './entry.ts';
import type { Qcow2Header } from './header.ts';

export interface SnapshotTable {
  /** Of each snapshot that could be read. An offset is NaN when it is not below 2^53. */
  readonly l1Tables: readonly { readonly offset: number; readonly entries: number }[];
  readonly sizeBytes: number;
  /** The rest of a sentence that begins with "the snapshot table". */
  readonly problem: string | undefined;
}

/** Throws DiskError. */
export function readSnapshotTable(file: ImageFile, header: Qcow2Header): SnapshotTable {
  const { snapshots, snapshotsOffset: start } = header;
  const endOfFile = file.sizeBytes();
  const view = new DataView(new ArrayBuffer(QCOW2_SNAPSHOT_FIXED_BYTES));
  const l1Tables: { offset: number; entries: number }[] = [];
  let sizeBytes = 0;
  const found = (problem?: string): SnapshotTable => ({ l1Tables, sizeBytes, problem });
  for (let index = 0; index < snapshots; index++) {
    if (start + sizeBytes + QCOW2_SNAPSHOT_FIXED_BYTES > endOfFile)
      return found('is beyond the end of the file');
    file.read(new Uint8Array(view.buffer), start + sizeBytes);
    l1Tables.push({
      offset: readU64(view, QCOW2_SNAPSHOT_L1_OFFSET),
      entries: view.getUint32(QCOW2_SNAPSHOT_L1_SIZE),
    });
    const extra = view.getUint32(QCOW2_SNAPSHOT_EXTRA_BYTES);
    const names = view.getUint16(QCOW2_SNAPSHOT_ID_BYTES) + view.getUint16(QCOW2_SNAPSHOT_NAME_BYTES);
    sizeBytes += Math.ceil((QCOW2_SNAPSHOT_FIXED_BYTES + extra + names) / 8) * 8;
    if (sizeBytes > QCOW2_MAX_SNAPSHOT_TABLE_BYTES) return found('is too large');
  }
  return found();
}

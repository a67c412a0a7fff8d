import assert from 'node:assert/strict';
import { it } from 'node:test';
import { RecordedFile } from '../../../test/support/recordedFile.ts';
import {
  QCOW2_AUTOCLEAR_BITMAPS_BITNR,
  QCOW2_AUTOCLEAR_FEATURES,
  QCOW2_BITMAP_FIXED_BYTES,
  QCOW2_BITMAP_TABLE_OFFSET,
  QCOW2_BITMAP_TABLE_SIZE,
  QCOW2_BITMAPS_DIRECTORY_BYTES,
  QCOW2_BITMAPS_DIRECTORY_OFFSET,
  QCOW2_BITMAPS_NB,
  QCOW2_ENTRY_BYTES,
  QCOW2_EXT_BITMAPS,
  QCOW2_HEADER_LENGTH,
  QCOW2_L1_SIZE,
  QCOW2_L1_TABLE_OFFSET,
  QCOW2_NB_SNAPSHOTS,
  QCOW2_SNAPSHOT_FIXED_BYTES,
  QCOW2_SNAPSHOT_L1_OFFSET,
  QCOW2_SNAPSHOT_L1_SIZE,
  QCOW2_SNAPSHOTS_OFFSET,
} from '../../abi/qcow2.ts';
import { checkQcow2 } from './checkImage.ts';
import { writeU64 } from './qcow2/entry.ts';
import { DEFAULT_FORMAT, formatQcow2 } from './qcow2/formatQcow2.ts';

const CLUSTER_BYTES = 65536;
const FILE_BYTES = 2 << 20;
const L1_OFFSET = FILE_BYTES / 2;
const L1_ENTRIES = L1_OFFSET / QCOW2_ENTRY_BYTES;

it('a table that two snapshots have is followed once: 65536 take no longer than one', () => {
  const view = image();
  const snapshots = FILE_BYTES / 4;
  const most = 0x1_0000;
  const fitting = Math.floor((L1_OFFSET - snapshots) / QCOW2_SNAPSHOT_FIXED_BYTES);
  view.setUint32(QCOW2_NB_SNAPSHOTS, most);
  writeU64(view, QCOW2_SNAPSHOTS_OFFSET, snapshots);
  for (let index = 0; index < fitting; index++) {
    const at = snapshots + index * QCOW2_SNAPSHOT_FIXED_BYTES;
    writeU64(view, at + QCOW2_SNAPSHOT_L1_OFFSET, L1_OFFSET);
    view.setUint32(at + QCOW2_SNAPSHOT_L1_SIZE, L1_ENTRIES);
  }
  assertSoon(view, /is used for an L1 table and for an L1 table/);
});

it('an L2 table that two entries of an L1 table have is followed once', () => {
  const view = image();
  writeU64(view, QCOW2_L1_TABLE_OFFSET, L1_OFFSET);
  view.setUint32(QCOW2_L1_SIZE, L1_ENTRIES);
  const l2 = FILE_BYTES / 4;
  for (let at = L1_OFFSET; at < FILE_BYTES; at += QCOW2_ENTRY_BYTES) writeU64(view, at, l2);
  assertSoon(view, /L1 entry 1 refers to the L2 table at 0x80000, as another entry does/);
});

it('a table that two bitmaps have is followed once', () => {
  const view = image();
  const [count, directory] = [1000, FILE_BYTES / 4];
  writeU64(view, QCOW2_AUTOCLEAR_FEATURES, 1 << QCOW2_AUTOCLEAR_BITMAPS_BITNR);
  const extension = view.getUint32(QCOW2_HEADER_LENGTH);
  view.setUint32(extension, QCOW2_EXT_BITMAPS);
  view.setUint32(extension + 4, 24);
  view.setUint32(extension + 8 + QCOW2_BITMAPS_NB, count);
  writeU64(view, extension + 8 + QCOW2_BITMAPS_DIRECTORY_BYTES, count * QCOW2_BITMAP_FIXED_BYTES);
  writeU64(view, extension + 8 + QCOW2_BITMAPS_DIRECTORY_OFFSET, directory);
  for (let index = 0; index < count; index++) {
    const at = directory + index * QCOW2_BITMAP_FIXED_BYTES;
    writeU64(view, at + QCOW2_BITMAP_TABLE_OFFSET, L1_OFFSET);
    view.setUint32(at + QCOW2_BITMAP_TABLE_SIZE, L1_ENTRIES);
  }
  assertSoon(view, /is used for a bitmap and for a bitmap/);
});

function image(): DataView {
  const file = new RecordedFile();
  formatQcow2(file, { ...DEFAULT_FORMAT, clusterBytes: CLUSTER_BYTES, sizeBytes: CLUSTER_BYTES });
  const bytes = new Uint8Array(FILE_BYTES);
  bytes.set(file.bytes);
  return new DataView(bytes.buffer);
}

/** It ends, has read hardly more than the file has, and tells of the problem. */
function assertSoon(image: DataView, problem: RegExp): void {
  const file = new CountingFile(new Uint8Array(image.buffer));
  const { errors, problems } = checkQcow2(file, { repairsLeaks: true });
  assert.ok(errors > 0);
  assert.match(problems.join('\n'), problem);
  assert.ok(file.readBytes < 3 * FILE_BYTES, `${file.readBytes} bytes`);
}

class CountingFile extends RecordedFile {
  readBytes = 0;

  override read(into: Uint8Array, offset: number): void {
    this.readBytes += into.length;
    super.read(into, offset);
  }
}

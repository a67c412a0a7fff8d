import assert from 'node:assert/strict';
import { it } from 'node:test';
import { openInMemory } from '../../../../test/support/diskStart.ts';
import { RecordedFile } from '../../../../test/support/recordedFile.ts';
import { QCOW2_L1_TABLE_OFFSET, QCOW2_REFCOUNT_TABLE_OFFSET } from '../../../abi/qcow2.ts';
import { DEFAULT_FORMAT, formatQcow2 } from './formatQcow2.ts';

const CLUSTER_BYTES = 1024;
const L2_ENTRIES = CLUSTER_BYTES / 8;

it('a refcount table that has lost a block costs neither the header nor a table', () => {
  const file = emptyImage();
  // cluster 0, the header's, looks free then, and so do all tables
  file.write(new Uint8Array(8), u64(file, QCOW2_REFCOUNT_TABLE_OFFSET));
  const before = Uint8Array.from(file.bytes);
  const image = openInMemory(file);
  assert.throws(() => image.write(0, new Uint8Array(512)), {
    name: 'CorruptError',
    message: /cluster 0 has a table, and its refcount is 0/,
  });
  before.set([2], 79); // marked as corrupt
  assert.deepEqual(file.bytes.subarray(0, before.length), before);
});

it('what an entry refers to is not given back when it is a table', () => {
  const file = emptyImage();
  const image = openInMemory(file);
  image.write(0, new Uint8Array(CLUSTER_BYTES));
  image.close();
  const l1 = u64(file, QCOW2_L1_TABLE_OFFSET);
  const l2 = u64(file, l1);
  const entry = new Uint8Array(8);
  for (const cluster of [l1, l2].map((offset) => offset / CLUSTER_BYTES)) {
    new DataView(entry.buffer).setBigUint64(0, BigInt(cluster * CLUSTER_BYTES));
    const broken = new RecordedFile(file.bytes);
    broken.write(entry, l2 + 8 * (L2_ENTRIES - 1));
    const used = openInMemory(broken);
    assert.throws(() => used.write((L2_ENTRIES - 1) * CLUSTER_BYTES, new Uint8Array(CLUSTER_BYTES)), {
      message: new RegExp(`cluster ${cluster}, which has a table, is used for data, too`),
    });
    assert.deepEqual(table(broken, l1), table(file, l1));
  }
});

function emptyImage(): RecordedFile {
  const file = new RecordedFile();
  formatQcow2(file, { ...DEFAULT_FORMAT, clusterBytes: CLUSTER_BYTES, sizeBytes: 1 << 20 });
  return file;
}

function u64({ bytes }: RecordedFile, offset: number): number {
  return Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(offset) & 0x7fffffffffffffffn);
}

function table({ bytes }: RecordedFile, offset: number): Uint8Array {
  return bytes.slice(offset, offset + CLUSTER_BYTES);
}

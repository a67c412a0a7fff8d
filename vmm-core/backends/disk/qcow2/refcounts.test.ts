import assert from 'node:assert/strict';
import { it } from 'node:test';
import { openInMemory } from '../../../../test/support/diskWork.ts';
import { RecordedFile } from '../../../../test/support/recordedFile.ts';
import { QCOW2_REFCOUNT_TABLE_OFFSET } from '../../../abi/qcow2.ts';
import { DEFAULT_FORMAT, formatQcow2 } from './formatQcow2.ts';

const CLUSTER_BYTES = 1024;

it('a refcount table that has lost a block costs neither the header nor a table', () => {
  const file = new RecordedFile();
  formatQcow2(file, { ...DEFAULT_FORMAT, clusterBytes: CLUSTER_BYTES, sizeBytes: 1 << 20 });
  const view = new DataView(file.bytes.buffer, file.bytes.byteOffset);
  const table = Number(view.getBigUint64(QCOW2_REFCOUNT_TABLE_OFFSET));
  file.write(new Uint8Array(8), table); // cluster 0, the header's, looks free now, and so do all tables
  const before = Uint8Array.from(file.bytes);
  const image = openInMemory(file);
  assert.throws(() => image.write(0, new Uint8Array(512)), {
    name: 'CorruptError',
    message: /cluster 0 has a table, and its refcount is 0/,
  });
  before.set([2], 79); // marked as corrupt
  assert.deepEqual(file.bytes.subarray(0, before.length), before);
});

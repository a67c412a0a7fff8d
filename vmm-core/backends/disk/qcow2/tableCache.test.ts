import assert from 'node:assert/strict';
import { it } from 'node:test';
import { RecordedFile } from '../../../../test/support/recordedFile.ts';
import { TableCache } from './tableCache.ts';

const SLICE_BYTES = 512;

it('reads a slice once, writes back what changed, and forgets the one not used for longest', () => {
  const file = new RecordedFile(new Uint8Array(8 * SLICE_BYTES).map((_, at) => Math.floor(at / SLICE_BYTES)));
  const evictions: number[] = [];
  const cache = new TableCache({
    file,
    sliceBytes: SLICE_BYTES,
    sizeBytes: 4 * SLICE_BYTES,
    beforeEviction: () => evictions.push(file.log.length),
  });
  const load = (key: number): number => cache.load(key, key * SLICE_BYTES);
  for (let key = 0; key < 4; key++) assert.equal(cache.view.getUint8(load(key)), key);
  const first = load(0);
  cache.view.setUint8(first, 0x77);
  cache.touch(first);
  load(4); // 1 goes: 0 was used since
  assert.equal(cache.find(1), -1);
  assert.deepEqual(evictions, [], 'it was as in the file');
  for (const key of [2, 3, 4, 5]) load(key); // and now 0, which was changed
  assert.equal(cache.find(0), -1);
  assert.deepEqual(evictions, [0], 'before anything is written');
  assert.equal(file.bytes[0], 0x77);
  assert.equal(cache.view.getUint8(load(0)), 0x77);
  assert.equal(cache.isDirty, false);
});

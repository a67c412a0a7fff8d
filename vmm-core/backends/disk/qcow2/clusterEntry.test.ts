import assert from 'node:assert/strict';
import { it } from 'node:test';
import { CLUSTER, kindOf, packedEntry, packedRange } from './clusterEntry.ts';
import { entryOffset, readU64, writeU64 } from './entry.ts';

it('an L2 entry is absent, data, zeros with or without a place, or compressed', () => {
  assert.equal(kindOf(0, 0), CLUSTER.ABSENT);
  assert.equal(kindOf(0x80000000, 0x50000), CLUSTER.DATA);
  assert.equal(kindOf(0, 1), CLUSTER.ZERO);
  assert.equal(kindOf(0x80000000, 0x50001), CLUSTER.ZERO);
  assert.equal(kindOf(0x40000000, 0), CLUSTER.PACKED);
});

it('an offset is bits 9 to 55, and none that a number cannot hold', () => {
  assert.equal(entryOffset(0x80000001, 0x10000), 0x1_0001_0000);
  assert.equal(entryOffset(0x001fffff, 0xfffffe00), 2 ** 53 - 512);
  assert.ok(Number.isNaN(entryOffset(0x00200000, 0)));
});

it('numbers of 64 bits are read as they were written', () => {
  const view = new DataView(new ArrayBuffer(8));
  for (const value of [0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]) {
    writeU64(view, 0, value);
    assert.equal(view.getBigUint64(0), BigInt(value));
    assert.equal(readU64(view, 0), value);
  }
  view.setBigUint64(0, 1n << 53n);
  assert.ok(Number.isNaN(readU64(view, 0)));
});

it('a compressed cluster has an offset in bytes and ends in a sector', () => {
  for (const clusterBits of [9, 16, 21])
    for (const [offset, lengthBytes] of [
      [0x50000, 100],
      [0x501ff, 2],
      [2 ** 33 + 511, 512],
    ] as const) {
      const range = packedRange(...packedEntry({ offset, lengthBytes }, clusterBits), clusterBits);
      assert.equal(range.offset, offset);
      assert.ok(range.lengthBytes >= lengthBytes && range.lengthBytes < lengthBytes + 512);
      assert.equal((range.offset + range.lengthBytes) % 512, 0);
    }
});

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { readRefcount, writeRefcount } from './refcountWidth.ts';

it('refcounts narrower than a byte fill it from the low bits up', () => {
  const view = new DataView(new ArrayBuffer(1));
  for (const [order, counts] of [
    [0, [1, 0, 1, 1, 0, 0, 0, 1]],
    [1, [3, 0, 1, 2]],
    [2, [0xd, 0x8]],
  ] as const) {
    view.setUint8(0, 0);
    counts.forEach((count, index) => writeRefcount(view, 0, index, order, count));
    assert.equal(view.getUint8(0), order === 0 ? 0b1000_1101 : order === 1 ? 0b1001_0011 : 0x8d);
    assert.deepEqual(
      counts.map((_, index) => readRefcount(view, 0, index, order)),
      counts,
    );
  }
});

it('wider ones are big-endian numbers, and leave their neighbours alone', () => {
  for (const order of [3, 4, 5, 6]) {
    const bytes = 2 ** order / 8;
    const view = new DataView(new ArrayBuffer(3 * bytes));
    writeRefcount(view, 0, 1, order, 0x7f);
    assert.equal(view.getUint8(2 * bytes - 1), 0x7f);
    assert.deepEqual(
      [0, 1, 2].map((index) => readRefcount(view, 0, index, order)),
      [0, 0x7f, 0],
    );
  }
});

it('a refcount beyond 2^53 is in use, whatever it is', () => {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, 1n << 60n);
  assert.equal(readRefcount(view, 0, 0, 6), Number.MAX_SAFE_INTEGER);
});

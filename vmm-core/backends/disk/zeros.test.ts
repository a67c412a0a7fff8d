import assert from 'node:assert/strict';
import { it } from 'node:test';
import { isZero, zerosFrom } from './zeros.ts';

const UNIT_BYTES = 4096;

it('one byte anywhere is not zero, whatever the length', () => {
  for (const length of [1, 8, 63, 64, 65, 127, 128, 129, 4096, 70_000]) {
    const bytes = new Uint8Array(length);
    assert.ok(isZero(bytes));
    for (const at of [0, 1, 62, 63, 64, 65, 128, length >> 1, length - 2, length - 1]) {
      if (at < 0 || at >= length) continue;
      bytes[at] = 1;
      assert.ok(!isZero(bytes), `byte ${at} of ${length}`);
      bytes[at] = 0;
    }
  }
});

it('what repeats is not zero', () => {
  assert.ok(!isZero(new Uint8Array(4096).fill(7)));
  assert.ok(!isZero(new Uint8Array(4096).map((_, index) => index % 64)));
});

it('zeros are counted in whole units, and the last may be short', () => {
  const bytes = new Uint8Array(50 * UNIT_BYTES + 512);
  assert.equal(zerosFrom(bytes, 0, UNIT_BYTES), bytes.length);
  assert.equal(zerosFrom(bytes, 50 * UNIT_BYTES, UNIT_BYTES), 512);
  for (const unit of [0, 1, 15, 16, 17, 33, 49]) {
    const data = bytes.slice();
    data[unit * UNIT_BYTES + 100] = 1;
    assert.equal(zerosFrom(data, 0, UNIT_BYTES), unit * UNIT_BYTES);
    assert.equal(zerosFrom(data, unit * UNIT_BYTES, UNIT_BYTES), 0);
    assert.equal(
      zerosFrom(data, (unit + 1) * UNIT_BYTES, UNIT_BYTES),
      bytes.length - (unit + 1) * UNIT_BYTES,
    );
  }
});

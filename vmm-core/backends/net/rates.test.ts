import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Rates } from './rates.ts';

test('rates are per second since the report before, at first since the start', () => {
  const rates = new Rates(1000);
  assert.deepEqual(rates.of(3000, [100, 8]), [50, 4]);
  assert.deepEqual(rates.of(3500, [600, 8]), [1000, 0]);
});

test('several who watch see the same, however close their reports are', () => {
  const rates = new Rates(0);
  rates.of(1000, [500]);
  assert.deepEqual(rates.of(1000, [500]), [500]);
  assert.deepEqual(rates.of(1001, [500]), [500]);
  for (let ms = 2000; ms <= 4000; ms += 1000) {
    assert.deepEqual(rates.of(ms, [ms / 2]), [500]);
    assert.deepEqual(rates.of(ms + 20, [ms / 2 + 10]), [500]);
  }
});

test('counters that began again are no trouble', () => {
  const rates = new Rates(0);
  rates.of(1000, [500]);
  assert.deepEqual(rates.of(2000, [30]), [30]);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Rates } from './rates.ts';

test('rates are per second since the report before, at first since the start', () => {
  const rates = new Rates(1000);
  assert.deepEqual(rates.since(3000, [100, 8]), [50, 4]);
  assert.deepEqual(rates.since(3500, [600, 8]), [1000, 0]);
});

test('two reports at one time, and counters that began again, are no trouble', () => {
  const rates = new Rates(0);
  rates.since(1000, [500]);
  assert.deepEqual(rates.since(1000, [500]), [0]);
  assert.deepEqual(rates.since(2000, [30]), [30]);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RateLimit } from './rateLimit.ts';

/** How many requests of that size begin within a time, each as soon as it may. */
function admitted(rates: { iops?: number; bandwidth?: number }, bytes: number, withinMs: number): number {
  let nowMs = 1000;
  const limit = new RateLimit(rates, () => nowMs);
  let count = 0;
  while (nowMs < 1000 + withinMs) {
    const delayMs = limit.admit(bytes);
    if (delayMs === 0) count++;
    nowMs += delayMs;
  }
  return count;
}

test('no limit: everything begins at once', () => {
  const limit = new RateLimit({}, () => assert.fail('no clock is needed'));
  for (let i = 0; i < 1000; i++) assert.equal(limit.admit(1 << 20), 0);
});

test('requests a second hold on average, after a burst of a tenth of it', () => {
  assert.ok(Math.abs(admitted({ iops: 100 }, 512, 10_000) - 1010) <= 1);
  assert.ok(Math.abs(admitted({ iops: 1 }, 512, 10_000) - 11) <= 1);
});

test('bytes a second hold on average, however large a request is', () => {
  assert.ok(Math.abs(admitted({ bandwidth: 1 << 20 }, 1 << 16, 10_000) - 161) <= 2);
  assert.ok(Math.abs(admitted({ bandwidth: 1 << 20 }, 1 << 22, 100_000) - 25) <= 2);
});

test('of both the slower one decides', () => {
  assert.ok(Math.abs(admitted({ iops: 10, bandwidth: 1 << 30 }, 4096, 10_000) - 101) <= 1);
  assert.ok(Math.abs(admitted({ iops: 1e6, bandwidth: 40960 }, 4096, 10_000) - 101) <= 1);
});

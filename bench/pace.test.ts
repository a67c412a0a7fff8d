import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pace } from './pace.ts';

const BEFORE = `| Measurement | Trapframe | QEMU or gdb | Ratio | Target | |
| --- | --- | --- | --- | --- | --- |
| start | 50.0 ms (49.0–51.0) | 100 ms (98.0–103) | 0.50× | ≤ 1.00× | met |
| read | 50.0 ms (49.0–51.0) | 10.5 ms (9.8–10.9) | 0.50× | ≤ 1.00× | met |
| memory | 30.3 MiB (30.2–30.3) | 31.4 MiB (31.2–31.5) | 0.96× | ≤ 1.30× | met |
| alone | 39.2 ms (30.7–110) |  |  | ≤ 100 ms | met |`;

test('the pace of a day is the median change in the times of QEMU and gdb', () => {
  const now = BEFORE.replace('100 ms', '150 ms').replace('10.5 ms', '21.0 ms').replace('39.2 ms', '900 ms');
  assert.equal(pace(BEFORE, now), 1.75);
});

test('tables without a row in common say nothing', () => {
  assert.equal(pace('', BEFORE), undefined);
  assert.equal(
    pace(BEFORE, BEFORE.replaceAll('| start', '| stop').replaceAll('| read', '| write')),
    undefined,
  );
});

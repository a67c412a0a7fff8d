import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keptNote, keptRows, measured } from './keptRows.ts';

const BEFORE = `
| a disk: reads | 50.0 /s (49.0–51.0) | 100 /s (98.0–103) | 0.50× | ≥ 1.00× | **missed** |
| processor time of each | 50.0 µs (49.0–51.0) |  |  |  |  |
| start | 50.0 ms (49.0–51.0) | 100 ms (98.0–103) | 0.50× | ≤ 1.00× | met |

How:
`;
const row = (title: string) => ({ title, unit: '', target: {} });
const DISK = [row('a disk: reads'), row('processor time of each')];

test('rows that cannot be measured again stay, with a mark and a note of whose they are', () => {
  const kept = keptRows(BEFORE, DISK);
  assert.deepEqual(kept, [
    '| a disk: reads | 50.0 /s (49.0–51.0) | 100 /s (98.0–103) | 0.50× | ≥ 1.00× | **missed** † |',
    '| processor time of each | 50.0 µs (49.0–51.0) |  |  |  | † |',
  ]);
  assert.match(keptNote(kept.join('\n')), /^\n† Of an earlier run: /);

  assert.equal(measured(`| new |\n${kept.join('\n')}`), '| new |');

  // And once more, by a third run.
  assert.deepEqual(keptRows(kept.join('\n'), DISK), kept);
});

test('rows that the table has not, or not together, are not kept', () => {
  assert.equal(keptRows(BEFORE, [row('a tape')]), undefined);
  assert.equal(keptRows(BEFORE, [row('start'), row('processor time of each')]), undefined);
  assert.equal(keptRows('', DISK), undefined);
  assert.equal(keptRows('| start | not measured: no KVM | | | ≤ 1.00× | |', [row('start')]), undefined);
  assert.equal(keptNote(BEFORE), '');
});

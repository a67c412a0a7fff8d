import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keptNote, keptRows } from './keptRows.ts';

const MACHINE = `Trapframe 0.1.0, Node 20.20.2, QEMU 10.0.2, Linux 6.18.44 (kvm_pvm),
2 CPUs (AMD EPYC)`;
const BEFORE = `${MACHINE}, load average before the first
measurement 0.8.

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
  const note = keptNote(BEFORE, kept.join('\n'));
  assert.ok(note.startsWith('\n† ') && note.endsWith(`${MACHINE}.\n`), note);

  // And once more, by a third run.
  const again = BEFORE.replace('| a disk', `${kept.join('\n')}\n${note}\n| another`);
  assert.deepEqual(keptRows(again, DISK), kept);
  assert.equal(keptNote(again, kept.join('\n')), note);
});

test('rows that the table has not, or not together, are not kept', () => {
  assert.equal(keptRows(BEFORE, [row('a tape')]), undefined);
  assert.equal(keptRows(BEFORE, [row('start'), row('processor time of each')]), undefined);
  assert.equal(keptRows('', DISK), undefined);
  assert.equal(keptNote(BEFORE, BEFORE), '');
});

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { it } from 'node:test';
import { crash, CUT_STARTS } from '../support/crashCuts.ts';
import { inFolder } from '../support/diskFiles.ts';
import type { DiskStart } from '../support/diskStart.ts';
import { qemuCheck } from '../support/qemuImg.ts';

const CUTS = 500;
const FIRST_SEED = 1;
/** QEMU takes longer for each than all the rest. */
const CUTS_FOR_QEMU = 100;
/** With the others there is nothing else for QEMU to find. */
const JUDGED: readonly DiskStart[] = ['empty', 'with a snapshot inside'];
const LEAKS = 3;

for (const start of CUT_STARTS)
  it(`an image ${start}, cut at any of ${CUTS} places, has no errors, and every byte that was flushed`, () => {
    crash({ start, firstSeed: FIRST_SEED, cuts: CUTS });
  });

it('in snapshot mode nothing of what is below changes, whatever is written', () => {
  crash({ start: 'in snapshot mode', firstSeed: FIRST_SEED, cuts: CUTS });
});

it(`QEMU finds no errors in ${CUTS_FOR_QEMU} of them either`, () => {
  inFolder((folder) => {
    const file = path.join(folder, 'cut.qcow2');
    const judge = (image: Uint8Array): void => {
      if (isDirty(image)) return; // its refcounts mean nothing before it is repaired
      writeFileSync(file, image);
      const { status, output } = qemuCheck(file);
      assert.ok(status === 0 || status === LEAKS, output);
    };
    for (const start of JUDGED)
      crash({ start, firstSeed: FIRST_SEED + CUTS, cuts: CUTS_FOR_QEMU / JUDGED.length, judge });
  });
});

function isDirty(image: Uint8Array): boolean {
  return image[7] === 3 && ((image[79] ?? 0) & 1) !== 0;
}

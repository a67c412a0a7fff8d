import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { it } from 'node:test';
import { crash } from '../support/crashCuts.ts';
import { inFolder } from '../support/diskFiles.ts';
import { qemuCheck } from '../support/qemuImg.ts';

const CUTS = 500;
const FIRST_SEED = 1;
/** QEMU takes longer for each than all the rest. */
const CUTS_FOR_QEMU = 100;
const LEAKS = 3;

it(`an image that is cut at any of ${CUTS} places has no errors, and every byte that was flushed`, () => {
  crash(FIRST_SEED, CUTS);
});

it(`QEMU finds no errors in ${CUTS_FOR_QEMU} of them either`, () => {
  inFolder((folder) => {
    const file = path.join(folder, 'cut.qcow2');
    crash(FIRST_SEED + CUTS, CUTS_FOR_QEMU, (image) => {
      if (isDirty(image)) return; // its refcounts mean nothing before it is repaired
      writeFileSync(file, image);
      const { status, output } = qemuCheck(file);
      assert.ok(status === 0 || status === LEAKS, output);
    });
  });
});

function isDirty(image: Uint8Array): boolean {
  return image[7] === 3 && ((image[79] ?? 0) & 1) !== 0;
}

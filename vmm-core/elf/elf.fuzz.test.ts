/**
 * Hostile ELF files: whatever the bytes, reading ends soon, with a value or an ElfError. test/fuzz/ has
 * other seeds.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { elfTargets } from '../../test/support/elfFuzz.ts';
import { fuzz } from '../../test/support/fuzz.ts';

const ROUNDS = 3000;

for (const target of elfTargets()) {
  test(`${ROUNDS} broken ${target.name} files end in answers or in an ElfError`, async () => {
    const refused = await fuzz(target, { rounds: ROUNDS });
    assert.ok(refused > ROUNDS / 50 && refused < ROUNDS, `${refused} refused`);
  });
}

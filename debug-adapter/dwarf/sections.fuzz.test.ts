/**
 * Hostile debug information: whatever the bytes, parsing soon succeeds or throws a DwarfError. test/fuzz/ has
 * other seeds.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dwarfTargets } from '../../test/support/dwarfFuzz.ts';
import { fuzz } from '../../test/support/fuzz.ts';

const ROUNDS = 2000;

for (const target of dwarfTargets()) {
  test(`${target.name}: ${ROUNDS} broken files end in answers or in a DwarfError`, async () => {
    const refused = await fuzz(target, { rounds: ROUNDS });
    // The mutations must reach the parser's checks, and not only the first of them.
    // (ORC has none: every entry means something, and a table may have any length.)
    const least = target.name === '.orc_unwind' ? 0 : ROUNDS / 50;
    assert.ok(refused >= least && refused < ROUNDS, `${refused} refused`);
  });
}

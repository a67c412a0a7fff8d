/** The long runs of debug-adapter/dwarf/sections.fuzz.test.ts and vmm-core/elf/elf.fuzz.test.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dwarfTargets } from '../support/dwarfFuzz.ts';
import { elfTargets } from '../support/elfFuzz.ts';
import { fuzz } from '../support/fuzz.ts';

const FIRST = 1_000_000;
const COUNT = 50_000;

for (const target of [...dwarfTargets(), ...elfTargets()]) {
  test(`${target.name}: ${COUNT} broken files end soon, within their memory, in answers or in a typed error`, async () => {
    assert.ok((await fuzz(target, { rounds: COUNT, firstRound: FIRST })) < COUNT);
  });
}

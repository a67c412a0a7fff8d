/** Half of the long run of vmm-core/config/fuzz.test.ts: two files, so that two processors share it. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { checkDependencies, checkMutation } from '../../vmm-core/config/fuzz.ts';

const FIRST = 2_000_000;
const COUNT = 50_000;
const DEPENDENT = 20_000;

it(`${COUNT} seeded mutations of vm.conf never crash, hang or lose an error's place, and fmt keeps their meaning`, () => {
  for (let seed = FIRST; seed < FIRST + COUNT; seed++)
    assert.equal(checkMutation(seed), undefined, `seed ${seed}`);
});

it(`${DEPENDENT} files whose macros and includes depend on each other are edited as if they were read anew`, () => {
  for (let seed = FIRST; seed < FIRST + DEPENDENT; seed++)
    assert.equal(checkDependencies(seed), undefined, `seed ${seed}`);
});

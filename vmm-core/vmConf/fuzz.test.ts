import assert from 'node:assert/strict';
import { it } from 'node:test';
import { checkDependencies, checkMutation } from './fuzz.ts';

const COUNT = 3000;

it(`${COUNT} seeded mutations: never a crash, an error without a position, or an edit that differs from a fresh read; fmt holds`, () => {
  for (let seed = 1; seed <= COUNT; seed++) assert.equal(checkMutation(seed), undefined, `seed ${seed}`);
});

it(`${COUNT} files whose macros and includes depend on each other: edits equal a fresh read`, () => {
  for (let seed = 1; seed <= COUNT; seed++) assert.equal(checkDependencies(seed), undefined, `seed ${seed}`);
});

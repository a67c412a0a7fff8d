import { test } from 'node:test';
import { blkRound } from '../../../../test/support/blkFuzz.ts';

const ROUNDS = 200;

test('no data is lost, torn or reordered, whatever is asked for and whatever the host refuses', () => {
  for (let seed = 0; seed < ROUNDS; seed++) blkRound(seed);
});

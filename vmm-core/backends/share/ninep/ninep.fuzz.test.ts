import { test } from 'node:test';
import { runRounds } from '../../../../test/fuzz/fuzzer.ts';
import { ninepRound } from '../../../../test/support/ninepFuzz.ts';

const ROUNDS = 150;

test('a shared folder is what its guest makes of it, and whatever that sends, the rest of the host stays', async () => {
  await runRounds({ name: 'ninep', round: ninepRound }, { firstSeed: 0, rounds: ROUNDS });
});

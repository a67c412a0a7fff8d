import { test } from 'node:test';
import { runRounds } from '../../../../test/fuzz/fuzzer.ts';
import { tapRound } from '../../../../test/support/tapFuzz.ts';

const ROUNDS = 40;

test('frames of a tap arrive in order, and what is none is counted, whatever the host refuses', async () => {
  await runRounds({ name: 'net-tap', round: tapRound }, { firstSeed: 0, rounds: ROUNDS });
});

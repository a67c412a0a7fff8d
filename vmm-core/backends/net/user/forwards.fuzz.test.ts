import { test } from 'node:test';
import { runRounds } from '../../../../test/fuzz/fuzzer.ts';
import { forwardsRound } from '../../../../test/support/forwardsFuzz.ts';

const ROUNDS = 40;

test('what comes by forwards reaches the guest once, and its answers whom they are for, whatever the host refuses', async () => {
  await runRounds({ name: 'user-forwards', round: forwardsRound }, { firstSeed: 0, rounds: ROUNDS });
});

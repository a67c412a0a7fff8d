import { test } from 'node:test';
import { runRounds } from '../../../../test/fuzz/fuzzer.ts';
import { netRound } from '../../../../test/support/netFuzz.ts';

const ROUNDS = 40;

test('what drivers of an interface send arrives, and what is for them is there or counted, whatever they do', async () => {
  await runRounds({ name: 'virtio-net', round: netRound }, { firstSeed: 0, rounds: ROUNDS });
});

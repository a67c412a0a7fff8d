import { test } from 'node:test';
import { runRounds } from '../../../../test/fuzz/fuzzer.ts';
import { vsockRound } from '../../../../test/support/vsockFuzz.ts';

const ROUNDS = 60;

test('streams are in order and whole, whoever misbehaves, and whatever the host refuses', async () => {
  await runRounds({ name: 'virtio-vsock', round: vsockRound }, { firstSeed: 0, rounds: ROUNDS });
});

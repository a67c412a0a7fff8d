import { test } from 'node:test';
import { runRounds } from '../../../test/fuzz/fuzzer.ts';
import { queueRound, registersRound } from '../../../test/support/virtioFuzz.ts';

const ROUNDS = 300;

test('a queue finds what the reference finds, up to the first rule that a driver breaks', async () => {
  await runRounds({ name: 'virtio-queue', round: queueRound }, { firstSeed: 0, rounds: ROUNDS });
});

test('whatever is written to registers, nothing throws, and a driver that comes then is served', async () => {
  await runRounds({ name: 'virtio-registers', round: registersRound }, { firstSeed: 0, rounds: ROUNDS });
});

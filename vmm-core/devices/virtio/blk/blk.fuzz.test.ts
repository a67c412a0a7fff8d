import { test } from 'node:test';
import { runRounds } from '../../../../test/fuzz/fuzzer.ts';
import { diskRound } from '../../../../test/support/diskFuzz.ts';

const ROUNDS = 40;

test('what the guest was told is written is in the image, which stays sound, whatever the host refuses', async () => {
  await runRounds({ name: 'disk-image', round: diskRound }, { firstSeed: 0, rounds: ROUNDS });
});

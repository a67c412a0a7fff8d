import { test } from 'node:test';
import { runRounds } from '../../../../test/fuzz/fuzzer.ts';
import { blkRound } from '../../../../test/support/blkFuzz.ts';

const ROUNDS = 200;

test('no data is lost, torn or reordered, whatever is asked for and whatever the host refuses', async () => {
  await runRounds({ name: 'virtio-blk', round: blkRound }, { firstSeed: 0, rounds: ROUNDS });
});

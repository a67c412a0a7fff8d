import { before, test } from 'node:test';
import { runRounds } from '../../../../test/fuzz/fuzzer.ts';
import { balloonRound } from '../../../../test/support/balloonFuzz.ts';
import { loadBalloon } from '../../../../test/support/balloonMachine.ts';

before(loadBalloon);

test('exactly the pages that a driver gives go back to the host, whatever else it names', async () => {
  await runRounds({ name: 'virtio-balloon', round: balloonRound }, { firstSeed: 0, rounds: 100 });
});

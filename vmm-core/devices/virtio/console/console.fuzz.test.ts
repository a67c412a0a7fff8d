import { test } from 'node:test';
import { runRounds } from '../../../../test/fuzz/fuzzer.ts';
import { consoleRound } from '../../../../test/support/consoleFuzz.ts';

test('all that is sent to ports of the console is heard, and all that is typed arrives, in order', async () => {
  await runRounds({ name: 'virtio-console', round: consoleRound }, { firstSeed: 0, rounds: 300 });
});

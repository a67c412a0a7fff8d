/**
 * Every fuzzer for its share of the time that `npm test` has for all of them, with new seeds in each run. A
 * failure or a hang says how to reproduce it. `npm run fuzz` runs them for as long as wanted.
 */
import { test } from 'node:test';
import { freshSeed, runRounds } from './fuzzer.ts';
import { FUZZERS } from './fuzzers.ts';

const ALL_MS = 40_000;
const ALL_SHARES = FUZZERS.reduce((sum, { share = 1 }) => sum + share, 0);

for (const fuzzer of FUZZERS) {
  test(`${fuzzer.name}: ${fuzzer.claim}`, async (t) => {
    const missing = await fuzzer.prepare?.();
    if (missing !== undefined) return t.skip(missing);
    const firstSeed = freshSeed();
    console.log(`npm run fuzz -- ${fuzzer.name} --seed ${firstSeed}`);
    const ms = (ALL_MS * (fuzzer.share ?? 1)) / ALL_SHARES;
    const rounds = await runRounds(fuzzer, { firstSeed, ms });
    t.diagnostic(`${rounds} rounds`);
  });
}

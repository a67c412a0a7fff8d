import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { describe, it } from 'node:test';
import { type Fuzzer, freshSeed, runRounds } from './fuzzer.ts';
import { FUZZERS } from './fuzzers.ts';

/** Finds a fault at one seed. */
function faultyAt(bad: number, seen: number[] = []): Fuzzer {
  const round = (seed: number): void => {
    seen.push(seed);
    assert.notEqual(seed, bad, 'the fault');
  };
  return { name: 'sample', claim: 'never meets the fault', round };
}

describe('a fuzzer', () => {
  it('runs as many rounds as it is told to, each with the next seed', async () => {
    const seen: number[] = [];
    assert.equal(await runRounds(faultyAt(-1, seen), { firstSeed: 7, rounds: 3 }), 3);
    assert.deepEqual(seen, [7, 8, 9]);
  });

  it('ends when its time is over, after at least one round', async () => {
    const seen: number[] = [];
    await runRounds(faultyAt(-1, seen), { firstSeed: 7, ms: 0 });
    assert.deepEqual(seen, [7]);
  });

  it('names the seed of the round that failed and the command that repeats it', async () => {
    const failing = runRounds(faultyAt(12), { firstSeed: 10, rounds: 5 });
    await assert.rejects(
      failing,
      /sample, seed 12: the fault\nagain: npm run fuzz -- sample --seed 12 --rounds 1/,
    );
    const repeated = runRounds(faultyAt(12), { firstSeed: 12, rounds: 1 });
    await assert.rejects(repeated, /seed 12/);
  });

  it('that hangs in a round ends, and names the seed and the command that repeats it', () => {
    const script = `
      const { runRounds } = require('${path.join(import.meta.dirname, 'fuzzer.ts')}');
      const round = async () => { await null; for (;;); };
      void runRounds({ name: 'sample', claim: 'ends', round }, { firstSeed: 12, hangMs: 100 });`;
    const options = ['--import', 'tsx', '--eval', script];
    const { signal, stderr } = spawnSync(process.execPath, options, { encoding: 'utf8' });
    const again = 'again: npm run fuzz -- sample --seed 12 --rounds 1';
    assert.equal(stderr, `sample, seed 12: a round has not ended within 0.1 s\n${again}\n`);
    assert.equal(signal, 'SIGKILL');
  });

  it('continues with seed 0 after the last', async () => {
    const seen: number[] = [];
    await runRounds(faultyAt(-1, seen), { firstSeed: 2 ** 31 - 1, rounds: 2 });
    assert.deepEqual(seen, [2 ** 31 - 1, 0]);
  });

  it('starts with another seed in each run', () => {
    const seeds = new Set(Array.from({ length: 20 }, freshSeed));
    assert.ok(seeds.size > 15, 'hardly two are the same');
  });

  it('is in a list of unique names', () => {
    assert.equal(new Set(FUZZERS.map((it) => it.name)).size, FUZZERS.length);
  });
});

// The thread of hangWatch.ts. Plain JavaScript: a worker does not inherit the loader of TypeScript.
import { writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';

const STDERR = 2;

/** Returns when there are no more rounds. Round 0 is before the first. */
function watch({ state, name, limitMs }) {
  for (;;) {
    const round = Atomics.load(state, 0);
    if (round < 0) return;
    // Nobody notifies at the next round, so this wakes once in `limitMs`, however short the rounds are.
    const outcome = Atomics.wait(state, 0, round, limitMs);
    if (outcome === 'timed-out' && round > 0 && Atomics.load(state, 0) === round)
      end(name, Atomics.load(state, 1), limitMs);
  }
}

/** The main thread never returns to its event loop: no exception, and not exit(), would reach it. */
function end(name, seed, limitMs) {
  const what = `${name}, seed ${seed}: a round has not ended within ${limitMs / 1000} s`;
  writeSync(STDERR, `${what}\nagain: npm run fuzz -- ${name} --seed ${seed} --rounds 1\n`);
  process.kill(process.pid, 'SIGKILL');
}

watch(workerData);

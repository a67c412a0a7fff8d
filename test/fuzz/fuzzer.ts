/**
 * One fuzzer, and how long it runs. A seed determines a whole round, so a failure, or a hang, names the
 * command that reproduces it.
 */
import { HangWatch } from './hangWatch.ts';

export interface Fuzzer {
  /** On the command line. */
  readonly name: string;
  /** What must hold in every round: the title of its test. */
  readonly claim: string;
  /** Before the rounds. Returns a sentence when this machine cannot run it. */
  readonly prepare?: () => string | undefined | Promise<string | undefined>;
  /** Its share of the total time, when its rounds take longer than others'; 1 when absent. */
  readonly share?: number;
  /** Throws when the claim does not hold. */
  readonly round: (seed: number) => unknown;
}

/** What of it runs. */
type Rounds = Pick<Fuzzer, 'name' | 'round'>;

export interface FuzzLimit {
  readonly firstSeed: number;
  /** Ends when one of them is reached; at least one round is run. */
  readonly ms?: number;
  readonly rounds?: number;
  /** A round that takes longer ends the process. */
  readonly hangMs?: number;
}

/** Rounds take milliseconds; this is for machines that are busy with ten other things. */
const HANG_MS = 60_000;

/** Seeds are below 2^31, so that none wraps into another in some generator. */
const SEEDS = 2 ** 31;

/** A new one each time, so that every run tries something new. */
export function freshSeed(): number {
  return Math.floor(Math.random() * SEEDS);
}

export function seedAfter(firstSeed: number, rounds: number): number {
  return (firstSeed + rounds) % SEEDS;
}

/** Returns how many rounds were run. Throws with the round's seed and the command that repeats it. */
export async function runRounds(fuzzer: Rounds, limit: FuzzLimit): Promise<number> {
  const watch = new HangWatch(fuzzer.name, limit.hangMs ?? HANG_MS);
  try {
    return await runWatched(fuzzer, limit, watch);
  } finally {
    watch.end();
  }
}

async function runWatched(
  fuzzer: Rounds,
  { firstSeed, ms, rounds }: FuzzLimit,
  watch: HangWatch,
): Promise<number> {
  const end = performance.now() + (ms ?? Infinity);
  for (let done = 0; ; done++) {
    if (done > 0 && done >= (rounds ?? Infinity)) return done;
    if (done > 0 && performance.now() >= end) return done;
    const seed = seedAfter(firstSeed, done);
    watch.startRound(seed);
    try {
      await fuzzer.round(seed);
    } catch (cause) {
      const again = `npm run fuzz -- ${fuzzer.name} --seed ${seed} --rounds 1`;
      throw new Error(`${fuzzer.name}, seed ${seed}: ${(cause as Error).message}\nagain: ${again}`, {
        cause,
      });
    }
  }
}

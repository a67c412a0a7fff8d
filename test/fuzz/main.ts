/**
 * `npm run fuzz [-- NAME… --minutes 10 --rounds N --seed S]`: the fuzzers whose names contain a NAME, all
 * when none is given, in turns until the time is over. With --rounds, that many rounds of each; --seed is
 * the first round's; by default each run has a new one.
 */
import { parseArgs } from 'node:util';
import { type Fuzzer, freshSeed, runRounds, seedAfter } from './fuzzer.ts';
import { FUZZERS } from './fuzzers.ts';

const USAGE = 'usage: npm run fuzz [-- NAME… --minutes M --rounds N --seed S]';
const DEFAULT_MINUTES = 10;
const TURN_MS = 10_000;

interface Wanted {
  readonly fuzzers: readonly Fuzzer[];
  readonly seed: number;
  readonly ms: number;
  readonly rounds: number | undefined;
}

async function main(args: readonly string[]): Promise<number> {
  const wanted = readArguments(args);
  if (typeof wanted === 'string') {
    console.error(
      `${wanted}\n${USAGE}\nfuzzers:\n${FUZZERS.map((it) => `  ${it.name}: ${it.claim}`).join('\n')}`,
    );
    return 1;
  }
  const able: Fuzzer[] = [];
  for (const fuzzer of wanted.fuzzers) {
    const missing = await fuzzer.prepare?.();
    if (missing === undefined) able.push(fuzzer);
    else console.log(`${fuzzer.name} skipped: ${missing}`);
  }
  if (able.length === 0) return 1;
  try {
    await runInTurns(able, wanted);
    return 0;
  } catch (error) {
    console.error((error as Error).message, '\n', error);
    return 1;
  }
}

async function runInTurns(fuzzers: readonly Fuzzer[], { seed, ms, rounds }: Wanted): Promise<void> {
  const end = performance.now() + ms;
  const done = new Map<Fuzzer, number>();
  const turnMs = Math.min(TURN_MS, ms / fuzzers.length);
  do {
    for (const fuzzer of fuzzers) {
      const before = done.get(fuzzer) ?? 0;
      const firstSeed = seedAfter(seed, before);
      console.log(`${fuzzer.name} --seed ${firstSeed}`);
      const limit = rounds === undefined ? { firstSeed, ms: turnMs } : { firstSeed, rounds };
      done.set(fuzzer, before + (await runRounds(fuzzer, limit)));
    }
  } while (rounds === undefined && performance.now() < end);
  for (const [{ name }, count] of done) console.log(`${name}: ${count} rounds`);
}

/** A sentence when they are invalid. */
function readArguments(args: readonly string[]): Wanted | string {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { minutes: { type: 'string' }, rounds: { type: 'string' }, seed: { type: 'string' } },
    });
    const fuzzers = fuzzersNamed(positionals);
    if (fuzzers.length === 0) return `no fuzzer is called ${positionals.join(', ')}`;
    return {
      fuzzers,
      seed: numberOf('--seed', values.seed, 0) ?? freshSeed(),
      ms: (numberOf('--minutes', values.minutes, 0) ?? DEFAULT_MINUTES) * 60_000,
      rounds: numberOf('--rounds', values.rounds, 1),
    };
  } catch (error) {
    return (error as Error).message;
  }
}

/** All if no name is given; a whole name means only that one, a part of a name all that contain it. */
function fuzzersNamed(names: readonly string[]): readonly Fuzzer[] {
  if (names.length === 0) return FUZZERS;
  const exact = FUZZERS.filter((it) => names.includes(it.name));
  return exact.length > 0 ? exact : FUZZERS.filter(({ name }) => names.some((it) => name.includes(it)));
}

function numberOf(option: string, text: string | undefined, least: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === '' || !(value >= least))
    throw new Error(`${option} takes a number of at least ${least}`);
  return value;
}

process.exitCode = 1; // in case the event loop runs dry before main is done
void main(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});

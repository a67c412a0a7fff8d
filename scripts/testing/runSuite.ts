/** One suite: what it needs, its files, its result. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { ensurePackages } from '../debian.ts';
import { runNodeTests } from './nodeTests.ts';
import { type Suite, testFiles } from './suites.ts';
import { Tally } from './tally.ts';

export interface SuiteResult {
  readonly name: string;
  readonly tally: Tally;
  /** Why nothing of it ran. */
  readonly unavailable?: string;
  readonly seconds: number;
}

export interface SuiteOptions {
  readonly root: string;
  /** What the build printed when it failed. */
  readonly buildProblem: string | undefined;
  /** Only the test files whose path contains this. */
  readonly filter: string | undefined;
  /** The result of `prepareSuite`, if that was started earlier. */
  readonly prepared?: Promise<string | undefined>;
}

/** Installs and fetches what the suite needs. Returns a sentence when this machine cannot run it. */
export async function prepareSuite(suite: Suite): Promise<string | undefined> {
  const unavailable = suite.unavailable?.();
  if (unavailable !== undefined) return unavailable;
  await missingCommands(suite.optionalCommands ?? {}); // its tests say what they lack
  const missing = await missingCommands(suite.commands);
  if (missing === undefined) await suite.prepare?.().catch(() => undefined); // as above
  return missing;
}

export async function runSuite(suite: Suite, options: SuiteOptions): Promise<SuiteResult> {
  const start = performance.now();
  const files = (await testFiles(options.root))
    .filter(suite.includes)
    .filter((it) => it.includes(options.filter ?? ''));
  const result = (tally: Tally, unavailable?: string): SuiteResult => ({
    name: suite.name,
    tally,
    seconds: (performance.now() - start) / 1000,
    ...(unavailable === undefined ? {} : { unavailable }),
  });
  if (files.length === 0) return result(failedTally(suite, 'no test file belongs to it'));
  if (suite.needsBuild && options.buildProblem !== undefined) {
    return result(failedTally(suite, `npm run build failed:\n${options.buildProblem}`));
  }
  const unavailable = await (options.prepared ?? prepareSuite(suite));
  if (unavailable !== undefined) {
    const tally = new Tally();
    tally.skips.push(...files.map((title) => ({ title, reason: unavailable })));
    return result(tally, unavailable);
  }
  return result(await runNodeTests({ ...suite, root: options.root, suite: suite.name, files }));
}

function failedTally(suite: Suite, error: string): Tally {
  const tally = new Tally();
  tally.fail('', `the ${suite.name} suite runs`, error);
  return tally;
}

/** Installs what is missing where that is possible. Returns a sentence about what is still missing. */
async function missingCommands(commands: Suite['commands']): Promise<string | undefined> {
  const absent = (): string[] => Object.keys(commands).filter((it) => !isOnPath(it));
  if (absent().length === 0) return undefined;
  const problem = await ensurePackages([...new Set(absent().map((it) => commands[it] ?? it))]);
  if (absent().length === 0) return undefined;
  return `needs ${absent().join(', ')}: ${problem ?? 'not in PATH'}`;
}

function isOnPath(command: string): boolean {
  return (process.env['PATH'] ?? '').split(':').some((it) => existsSync(path.join(it, command)));
}

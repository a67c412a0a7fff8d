/**
 * `npm test [-- SUITE… --only PATH_PART]`: builds, then runs the suites, in parallel where possible
 * (suites.ts). One line per suite, failures in full, and the totals as the very last line. What this machine
 * cannot run is counted as skipped, with the reason.
 */
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { buildForTests } from './testing/buildForTests.ts';
import { STATIC, runStatic } from './testing/commandChecks.ts';
import { printSuite, printTotals } from './testing/report.ts';
import { type SuiteResult, prepareSuite, runSuite } from './testing/runSuite.ts';
import { runSideBySide } from './testing/sideBySide.ts';
import { SUITES, type Suite } from './testing/suites.ts';

const ROOT = path.join(import.meta.dirname, '..');

/** Loads are averages: half a processor more than there are keeps all of them busy while a suite waits. */
const OVERCOMMITTED = 0.5;

const KNOWN = [STATIC, ...SUITES];

async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { only: { type: 'string' } },
  });
  if (positionals.includes('help')) {
    console.log(suiteList());
    return 0;
  }
  const unknown = positionals.filter((it) => !KNOWN.some(({ name }) => name === it));
  if (unknown.length > 0) {
    console.error(`no suite is called ${unknown.join(', ')}; there are:\n${suiteList()}`);
    return 1;
  }
  const isWanted = ({ name }: { name: string }): boolean =>
    positionals.length === 0 || positionals.includes(name);
  const results = await runSuites(SUITES.filter(isWanted), isWanted(STATIC), values.only);
  return printTotals(results);
}

async function runSuites(
  suites: readonly Suite[],
  withStatic: boolean,
  filter: string | undefined,
): Promise<SuiteResult[]> {
  const results: SuiteResult[] = [];
  const report = (result: SuiteResult): void => {
    printSuite(result);
    results.push(result);
  };
  const built = buildForTests(ROOT);
  const jobs = suites.map((suite) => {
    const prepared = prepareSuite(suite);
    const ready = Promise.all([prepared, suite.needsBuild ? built : undefined]);
    const run = async (): Promise<void> => {
      const buildProblem = suite.needsBuild ? await built : undefined;
      report(await runSuite(suite, { root: ROOT, buildProblem, filter, prepared }));
    };
    return { suite, ready, run };
  });
  const together = jobs.flatMap(({ suite: { load }, ...job }) =>
    load === 'alone' ? [] : [{ ...job, cores: load }],
  );
  const staticJob = { cores: 2, ready: Promise.resolve(), run: async () => report(await runStatic(ROOT)) };
  const jobsTogether = [...(withStatic ? [staticJob] : []), ...together];
  await runSideBySide(jobsTogether, availableParallelism() + OVERCOMMITTED);
  for (const { suite, run } of jobs) if (suite.load === 'alone') await run();
  return results;
}

function suiteList(): string {
  return KNOWN.map(({ name, what }) => `  ${name.padEnd(10)} ${what}`).join('\n');
}

// So that 'exit' listeners run, which end what the suites started.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(1));

process.exitCode = 1; // in case the event loop runs dry before main ends
void main(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});

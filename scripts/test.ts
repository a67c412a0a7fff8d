/**
 * `npm test [-- SUITE… --only PATH_PART]`: builds, then runs the suites one after the other. One line per suite, failures in full,
 * and as the very last line the totals. What this machine cannot run is counted as skipped, with the reason.
 */
import path from 'node:path';
import { parseArgs } from 'node:util';
import { buildForTests } from './testing/buildForTests.ts';
import { STATIC, runStatic } from './testing/commandChecks.ts';
import { printSuite, printTotals } from './testing/report.ts';
import { type SuiteResult, runSuite } from './testing/runSuite.ts';
import { SUITES } from './testing/suites.ts';

const ROOT = path.join(import.meta.dirname, '..');

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
  const isWanted = (name: string): boolean => positionals.length === 0 || positionals.includes(name);
  const results: SuiteResult[] = [];
  const report = (result: SuiteResult): void => {
    printSuite(result);
    results.push(result);
  };
  if (isWanted(STATIC.name)) report(await runStatic(ROOT));
  const buildProblem = await buildForTests(ROOT);
  for (const suite of SUITES.filter((it) => isWanted(it.name))) {
    report(await runSuite(suite, { root: ROOT, buildProblem, filter: values.only }));
  }
  return printTotals(results);
}

function suiteList(): string {
  return KNOWN.map(({ name, what }) => `  ${name.padEnd(10)} ${what}`).join('\n');
}

// So that 'exit' listeners run, which end what the suites started.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(1));

process.exitCode = 1; // should the event loop run dry before main is through
void main(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});

/**
 * `npm run check`: what to run before every commit. Types, lint rules, formatting and the unit tests, side by
 * side.
 */
import path from 'node:path';
import { runStatic } from './testing/commandChecks.ts';
import { printSuite, printTotals } from './testing/report.ts';
import { runSuite } from './testing/runSuite.ts';
import { SUITES } from './testing/suites.ts';

const ROOT = path.join(import.meta.dirname, '..');

async function main(): Promise<number> {
  const unit = SUITES.filter((it) => it.name === 'unit');
  const options = { root: ROOT, buildProblem: undefined, filter: undefined };
  const results = await Promise.all([runStatic(ROOT), ...unit.map((it) => runSuite(it, options))]);
  for (const result of results) printSuite(result);
  return printTotals(results);
}

// So that 'exit' listeners run, which end what the tests started.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(1));

process.exitCode = 1; // in case the event loop runs dry before main ends
void main().then((code) => {
  process.exitCode = code;
});

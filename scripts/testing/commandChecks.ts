/**
 * Checks that are commands rather than test files: types, lint rules, formatting. Each counts as one test.
 */
import { execFile } from 'node:child_process';
import path from 'node:path';
import type { SuiteResult } from './runSuite.ts';
import { Tally } from './tally.ts';

interface Check {
  readonly title: string;
  readonly command: readonly [tool: string, ...args: string[]];
}

const CHECKS: readonly Check[] = [
  { title: 'types (tsc -b)', command: ['tsc', '-b'] },
  {
    title: 'lint rules (eslint .)',
    command: ['eslint', '.', '--cache', '--cache-location', '.tsbuild/eslintcache', '--max-warnings', '0'],
  },
  {
    title: 'formatting (prettier --check .)',
    command: [
      'prettier',
      '--check',
      '--log-level',
      'warn',
      '--cache',
      '--cache-location',
      '.tsbuild/prettiercache',
      '.',
    ],
  },
];

/** For what hangs: eslint alone took five minutes on a machine at half this speed with a load of ten. */
const TIMEOUT_MS = 15 * 60_000;
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

export const STATIC = { name: 'static', what: 'types, lint rules, formatting' };

export async function runStatic(root: string): Promise<SuiteResult> {
  const start = performance.now();
  const tally = new Tally();
  const outcomes = await Promise.all(CHECKS.map((it) => runCheck(it, root)));
  CHECKS.forEach(({ title, command }, index) => {
    const problem = outcomes[index];
    if (problem === undefined) tally.passed++;
    else
      tally.failures.push({
        titles: [title],
        file: '',
        error: `${problem}\nrun again: npx ${command.join(' ')}`,
      });
  });
  return { name: STATIC.name, tally, seconds: (performance.now() - start) / 1000 };
}

/** Returns what the command printed when it failed. */
function runCheck({ command }: Check, root: string): Promise<string | undefined> {
  const [tool, ...args] = command;
  const file = path.join(root, 'node_modules/.bin', tool);
  return new Promise((resolve) => {
    execFile(
      file,
      args,
      { cwd: root, timeout: TIMEOUT_MS, maxBuffer: MAX_OUTPUT_BYTES },
      (error, stdout, stderr) => {
        resolve(error === null ? undefined : `${stdout}${stderr}`.trim() || error.message);
      },
    );
  });
}

/**
 * Runs test files with Node's own runner, one process for each or for several, and tallies what it reports.
 */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { type RunDirectory, makeRunDirectory } from './runDirectory.ts';
import {
  type AgainEvent,
  type CpuEvent,
  type OutputEvent,
  type RemarkEvent,
  Tally,
  type TestEvent,
} from './tally.ts';

export interface NodeTestOptions {
  readonly root: string;
  readonly suite: string;
  /** Relative to `root`. */
  readonly files: readonly string[];
  /** How many share a process, which costs half a second to start; 1 by default. */
  readonly filesPerProcess?: number;
  /** How many processes at once. */
  readonly concurrency: number;
  /** For one process; the runner then ends it. */
  readonly fileTimeoutMs: number;
  /** For all of them; then everything the run started is killed. */
  readonly timeoutMs: number;
  /** How long processes that tests started may take to end after the last test. */
  readonly graceMs?: number;
}

const GRACE_MS = 5000;

export async function runNodeTests(options: NodeTestOptions): Promise<Tally> {
  const directory = makeRunDirectory(options.suite, options.graceMs ?? GRACE_MS);
  const entries = entriesOf(options, directory);
  const tally = new Tally(entries);
  process.once('exit', directory.remove); // we were interrupted
  try {
    const problem = await runOnce(options, [...entries.keys()], directory, tally);
    tally.locateFailures();
    if (problem === undefined) tally.failSilentFiles();
    if (problem !== undefined) tally.fail('', `the ${options.suite} suite`, problem);
    const leftovers = await directory.endLeftovers();
    if (leftovers.length > 0) {
      tally.fail(
        '',
        'every process that a test started has ended',
        `still running:\n${leftovers.join('\n')}`,
      );
    }
  } finally {
    process.removeListener('exit', directory.remove);
    directory.remove();
  }
  return tally;
}

/** Returns what went wrong with the run itself, if anything. */
async function runOnce(
  options: NodeTestOptions,
  entries: readonly string[],
  directory: RunDirectory,
  tally: Tally,
): Promise<string | undefined> {
  const child = spawn(process.execPath, runnerArguments(options, entries), {
    cwd: options.root,
    env: directory.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    directory.killAll();
  }, options.timeoutMs);
  process.once('exit', directory.killAll); // we were interrupted
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const lines = createInterface({ input: child.stdout });
  type Event = TestEvent | OutputEvent | CpuEvent | AgainEvent | RemarkEvent;
  lines.on('line', (line) => tally.add(JSON.parse(line) as Event));
  const linesEnded = new Promise((resolve) => lines.once('close', resolve));
  const code = await new Promise<number | null>((resolve) => child.once('exit', resolve));
  clearTimeout(timer);
  process.removeListener('exit', directory.killAll);
  if (timedOut) directory.killAll(); // once more: something may have started meanwhile
  await linesEnded;
  if (timedOut) return `did not end within ${options.timeoutMs / 1000} s; was killed`;
  // Exit code 1 with no failure counted: the runner itself broke.
  if (code !== 0 && tally.failures.length === 0) return `the test runner ended with code ${code}\n${stderr}`;
  return undefined;
}

/** What the runner gives one process each, and the test files that means: themselves, or lists of imports. */
function entriesOf(options: NodeTestOptions, directory: RunDirectory): Map<string, readonly string[]> {
  const files = options.files.map((it) => path.join(options.root, it));
  const { filesPerProcess = 1 } = options;
  if (filesPerProcess === 1) return new Map(files.map((it) => [it, [it]]));
  const count = Math.ceil(files.length / filesPerProcess);
  const groups = Array.from({ length: count }, (_, i) => files.filter((_file, at) => at % count === i));
  return new Map(groups.map((group, i) => [writeEntry(directory, i, group), group]));
}

function writeEntry(directory: RunDirectory, index: number, files: readonly string[]): string {
  const entry = path.join(directory.path, `files-${index}.mjs`);
  writeFileSync(entry, files.map((it) => `import '${pathToFileURL(it).href}';\n`).join(''));
  return entry;
}

function runnerArguments(options: NodeTestOptions, entries: readonly string[]): string[] {
  return [
    '--import',
    'tsx',
    '--test',
    `--test-concurrency=${options.concurrency}`,
    `--test-timeout=${options.fileTimeoutMs}`,
    `--test-reporter=${path.join(import.meta.dirname, 'reporter.mjs')}`,
    ...entries,
  ];
}

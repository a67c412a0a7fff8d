/** Runs one bundled test file in its own process, and passes on what reporter.ts tells. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { LabTestEvent } from './labProtocol.ts';

const STDERR_TAIL = 4096;

export interface FileRun {
  readonly bundle: string;
  /** The bundle of reporter.ts. */
  readonly reporter: string;
  readonly cwd: string;
  readonly timeoutMs: number;
  readonly testNamePattern?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly onEvent: (event: LabTestEvent) => void;
}

/** Returns what was wrong with the process as a whole, besides the failures its tests reported. */
export async function runFile(run: FileRun): Promise<string | undefined> {
  const args = ['--enable-source-maps', `--test-reporter=${run.reporter}`];
  if (run.testNamePattern !== undefined) args.push(`--test-name-pattern=${run.testNamePattern}`);
  const { NODE_TEST_CONTEXT: _, ...env } = process.env; // set when we ourselves run under node --test
  const child = spawn(process.execPath, [...args, run.bundle], {
    cwd: run.cwd,
    env: { ...env, ...run.environment },
    stdio: ['ignore', 'inherit', 'pipe', 'pipe'],
    detached: true, // a group of its own, to be killed with all its guests
  });
  let failures = 0;
  let tests = 0;
  createInterface({ input: child.stdio[3] as Readable }).on('line', (line) => {
    const event = JSON.parse(line) as LabTestEvent;
    if (event.type === 'open') tests++;
    if (event.type === 'close' && !event.outcome.passed) failures++;
    run.onEvent(event);
  });
  const stderr = keepTail(child);
  const timer = setTimeout(() => killGroup(child), run.timeoutMs);
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => {
    child.once('close', (...ending) => resolve(ending));
  });
  clearTimeout(timer);
  if (signal === 'SIGKILL') return `killed after ${run.timeoutMs / 1000} s, or for lack of memory`;
  if (signal !== null) return `ended by ${signal}\n${stderr()}`;
  if (code !== 0 && failures === 0) return `ended with code ${code}\n${stderr()}`;
  return tests === 0 ? 'has no tests' : undefined;
}

function killGroup({ pid }: ChildProcess): void {
  if (pid !== undefined) process.kill(-pid, 'SIGKILL');
}

/** What the tests write to stderr goes to the console; its end is also kept, for a process that dies. */
function keepTail(child: ChildProcess): () => string {
  let tail = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    process.stderr.write(text);
    tail = (tail + text).slice(-STDERR_TAIL);
  });
  return () => tail;
}

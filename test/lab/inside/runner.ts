/**
 * Runs the test bundles inside L1, one process each, and sends what they report to the host. Started by l1Init.sh as the
 * only thing L1 does; when it ends, L1 powers off.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, readdirSync, writeSync } from 'node:fs';
import { release, uptime } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import {
  JOB_FILE,
  type LabJob,
  type LabMessage,
  type LabTestEvent,
  LAB_ROOT,
  RESULTS_PORT,
} from './labProtocol.ts';

const STDERR_TAIL = 4096;

async function main(): Promise<void> {
  const job = JSON.parse(readFileSync(JOB_FILE, 'utf8')) as LabJob;
  const port = openSync(resultsPort(), 'w');
  const send = (message: LabMessage): void => void writeSync(port, `${JSON.stringify(message)}\n`);
  send({ type: 'ready', node: process.version, kernel: release(), uptimeSeconds: uptime() });
  for (const bundle of job.bundles) {
    send({ type: 'fileStart', bundle });
    const problem = await runBundle(job, bundle, (event) => send({ type: 'test', bundle, event }));
    send({ type: 'fileEnd', bundle, ...(problem === undefined ? {} : { problem }) });
  }
  send({ type: 'done' });
  closeSync(port);
}

function resultsPort(): string {
  const ports = '/sys/class/virtio-ports';
  for (const device of readdirSync(ports)) {
    if (readFileSync(path.join(ports, device, 'name'), 'utf8').trim() === RESULTS_PORT)
      return `/dev/${device}`;
  }
  throw new Error(`no virtio-serial port is named ${RESULTS_PORT}`);
}

/** Returns what went wrong with the process as a whole, when something did. */
async function runBundle(
  job: LabJob,
  bundle: string,
  onEvent: (event: LabTestEvent) => void,
): Promise<string | undefined> {
  const pattern = job.testNamePattern === undefined ? [] : [`--test-name-pattern=${job.testNamePattern}`];
  const reporter = `--test-reporter=${LAB_ROOT}/test/lab/inside/reporter.mjs`;
  const child = spawn(
    process.execPath,
    ['--enable-source-maps', reporter, ...pattern, path.join(LAB_ROOT, bundle)],
    {
      cwd: LAB_ROOT,
      stdio: ['ignore', 'inherit', 'pipe', 'pipe'],
    },
  );
  let failures = 0;
  let tests = 0;
  createInterface({ input: child.stdio[3] as Readable }).on('line', (line) => {
    const event = JSON.parse(line) as LabTestEvent;
    if (event.type === 'open') tests++;
    if (event.type === 'close' && !event.outcome.passed) failures++;
    onEvent(event);
  });
  const stderr = keepTail(child);
  const timer = setTimeout(() => child.kill('SIGKILL'), job.fileTimeoutMs);
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => {
    child.once('close', (...ending) => resolve(ending));
  });
  clearTimeout(timer);
  if (signal === 'SIGKILL') return `killed after ${job.fileTimeoutMs / 1000} s, or for want of memory`;
  if (signal !== null) return `ended by ${signal}\n${stderr()}`;
  if (code !== 0 && failures === 0) return `ended with code ${code}\n${stderr()}`;
  return tests === 0 ? 'has no tests' : undefined;
}

/** What the tests write to stderr goes to L1's console; its end is also kept, for a process that dies. */
function keepTail(child: ChildProcess): () => string {
  let tail = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    process.stderr.write(text);
    tail = (tail + text).slice(-STDERR_TAIL);
  });
  return () => tail;
}

main().catch((error: unknown) => {
  console.error('lab: the runner failed:', error);
  process.exitCode = 1;
});

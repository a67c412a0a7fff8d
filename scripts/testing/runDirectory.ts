/**
 * What a suite runs in: a runtime and a temporary directory of its own, and a mark in the environment by
 * which every process it started, however detached, is found again.
 */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const MARK = 'TRAPFRAME_TEST_RUN';
const POLL_MS = 100;

export interface RunDirectory {
  readonly path: string;
  readonly env: NodeJS.ProcessEnv;
  /**
   * Ends every process of this run that still lives; returns a line for each. Waits a moment for those on
   * their way out.
   */
  readonly endLeftovers: () => Promise<string[]>;
  /** Ends them all at once. */
  readonly killAll: () => void;
  readonly remove: () => void;
}

export function makeRunDirectory(suite: string, graceMs: number): RunDirectory {
  // Short: the path of a unix socket in it must stay below 108 bytes.
  const directory = mkdtempSync(path.join(tmpdir(), 'tf-'));
  const mark = `${suite}:${path.basename(directory)}`;
  return {
    path: directory,
    env: {
      ...process.env,
      [MARK]: mark,
      XDG_RUNTIME_DIR: directory,
      NODE_NO_WARNINGS: '1',
      NODE_TEST_CONTEXT: undefined, // else a runner started by a test runs nothing
    },
    endLeftovers: () => endLeftovers(`${MARK}=${mark}`, graceMs),
    killAll: () => marked(`${MARK}=${mark}`).forEach(kill),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

async function endLeftovers(mark: string, graceMs: number): Promise<string[]> {
  const deadline = Date.now() + graceMs;
  while (Date.now() < deadline && marked(mark).length > 0) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  const left = marked(mark);
  left.forEach(kill);
  return left.map(({ pid, command }) => `${pid}: ${command}`);
}

interface MarkedProcess {
  readonly pid: number;
  readonly command: string;
}

function kill({ pid }: MarkedProcess): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended between the check and the kill.
  }
}

function marked(mark: string): MarkedProcess[] {
  const entry = `${mark}\0`;
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && pid !== process.pid)
    .filter((pid) => readProc(pid, 'environ').includes(entry))
    .map((pid) => ({ pid, command: readProc(pid, 'cmdline').replaceAll('\0', ' ').trim() }))
    .filter(({ command }) => command !== ''); // a zombie
}

/** Empty when the process is gone or not ours to read. */
function readProc(pid: number, file: string): string {
  try {
    return `${readFileSync(`/proc/${pid}/${file}`, 'latin1')}\0`;
  } catch {
    return '';
  }
}

/**
 * Starts a vmm-core process (`vmm serve`) that waits, warm, for its VM. It prints one line on stdout when it
 * listens, and exits by itself when our end of its stdin closes before a VM was created.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** First line on the core's stdout. */
export interface CoreReady {
  readonly socket: string;
}

export interface CoreProcess {
  readonly process: ChildProcess;
  /** Control socket, ready to connect. It keeps working at this path after `create` gave the VM a name. */
  readonly socket: string;
  /** Resolves when the process is gone. `stderrTail`: its last lines, to explain a crash. */
  readonly exited: Promise<CoreExit>;
}

export interface CoreExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderrTail: string;
}

export interface SpawnOptions {
  /** dist/vmm.js. */
  readonly vmmPath: string;
  /** Each line of the core's log (JSON lines, log.ts). */
  readonly onLog?: (line: string) => void;
  readonly env?: NodeJS.ProcessEnv;
}

const STDERR_TAIL_LINES = 20;

/** Resolves when the core listens. Rejects with an Error whose message is for the user. */
export async function spawnCore(options: SpawnOptions): Promise<CoreProcess> {
  // Inside VS Code process.execPath is Electron, which runs as Node when told to.
  const env = { ...(options.env ?? process.env), ELECTRON_RUN_AS_NODE: '1' };
  const child = spawn(process.execPath, [options.vmmPath, 'serve'], {
    env,
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true, // a VM its client detached from outlives us
  });
  const tail: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    tail.push(line);
    if (tail.length > STDERR_TAIL_LINES) tail.shift();
    options.onLog?.(line);
  });
  child.stdin.on('error', () => undefined); // the core died first; `exited` tells
  const exited = new Promise<CoreExit>((resolve) => {
    child.once('error', (error) => resolve({ code: null, signal: null, stderrTail: String(error) }));
    child.once('close', (code, signal) => resolve({ code, signal, stderrTail: tail.join('\n') }));
  });
  const ready = new Promise<string>((resolve) =>
    createInterface({ input: child.stdout }).once('line', resolve),
  );
  const first = await Promise.race([ready, exited]);
  if (typeof first !== 'string') {
    throw new Error(`vmm-core did not start: ${lastWords(first)}`);
  }
  const socket = socketOf(first);
  if (socket === undefined) {
    child.kill('SIGKILL');
    throw new Error(`vmm-core did not start: ${options.vmmPath} says "${first}" instead of its socket`);
  }
  return { process: child, socket, exited };
}

/**
 * The useful part of a core's last words: the message of the last line of its log, or all of it if that is
 * not a log.
 */
function lastWords({ code, signal, stderrTail }: CoreExit): string {
  try {
    const line = JSON.parse(stderrTail.split('\n').at(-1) ?? '') as { message?: unknown } | null;
    if (typeof line?.message === 'string') return line.message;
  } catch {
    // Not ours: node's own words, such as a file that is not there.
  }
  return stderrTail || `exit code ${code ?? signal ?? 'unknown'}`;
}

function socketOf(line: string): string | undefined {
  try {
    const ready = JSON.parse(line) as Partial<CoreReady> | null;
    return typeof ready?.socket === 'string' ? ready.socket : undefined;
  } catch {
    return undefined; // another program's words
  }
}

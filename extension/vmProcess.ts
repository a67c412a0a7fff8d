/**
 * The vmm-core processes this window owns. One is always started ahead of use, so that F5 does not wait for a
 * process to start; a session takes it, and the next one is started in the background. All end with the
 * window: their stdin closes.
 */
import type { LogOutputChannel } from 'vscode';
import { type CoreExit, type CoreProcess, spawnCore } from '../vmm-core/client/spawnCore.ts';
import { parseLogLine } from './coreLog.ts';

export class VmProcesses {
  readonly #vmmPath: string;
  readonly #log: LogOutputChannel;
  #warm: Promise<CoreProcess> | undefined;
  /** Every process that is not gone, by its control socket. */
  readonly #alive = new Map<string, CoreProcess>();
  #disposed = false;

  constructor(vmmPath: string, log: LogOutputChannel) {
    this.#vmmPath = vmmPath;
    this.#log = log;
  }

  /** Starts a core unless one is waiting. A failure shows when the core is taken. */
  warmUp(): void {
    if (this.#disposed || this.#warm !== undefined) return;
    const starting = this.#spawn();
    this.#warm = starting;
    starting.then(
      // A core that died while waiting must not be handed out.
      (core) => void core.exited.then(() => this.#forget(starting)),
      () => this.#forget(starting),
    );
  }

  /** A core that waits for its VM. Rejects with an Error for the user. */
  async take(): Promise<CoreProcess> {
    const warm = this.#warm ?? this.#spawn();
    this.#warm = undefined;
    return warm;
  }

  get(socket: string): CoreProcess | undefined {
    return this.#alive.get(socket);
  }

  dispose(): void {
    this.#disposed = true;
    for (const core of this.#alive.values()) release(core);
  }

  async #spawn(): Promise<CoreProcess> {
    const core = await spawnCore({ vmmPath: this.#vmmPath, onLog: (line) => this.#logLine(line) });
    this.#alive.set(core.socket, core);
    void core.exited.then((exit) => {
      this.#alive.delete(core.socket);
      this.#log.info(`vmm-core ${core.process.pid} ${describeExit(exit)}`);
    });
    if (this.#disposed) release(core);
    return core;
  }

  /** A line of the core's log: JSON, unless something below us wrote to stderr. */
  #logLine(line: string): void {
    const { level, text } = parseLogLine(line);
    this.#log[level](text);
  }

  #forget(starting: Promise<CoreProcess>): void {
    if (this.#warm === starting) this.#warm = undefined;
  }
}

/**
 * Releases a core: without a VM, or with one whose creator is gone, it ends; a VM that a client detached from
 * stays.
 */
export function release(core: CoreProcess): void {
  core.process.stdin?.end();
}

/** A core that ended because it was told to. */
export function isClean(exit: CoreExit): boolean {
  return exit.code === 0;
}

/** `was killed (SIGKILL)`, `ended with exit code 1: <its last words>` */
export function describeExit(exit: CoreExit): string {
  if (exit.signal !== null) return `was killed (${exit.signal})`;
  const lastWords = parseLogLine(exit.stderrTail.split('\n').at(-1) ?? '').text;
  return `ended with exit code ${exit.code}${exit.code === 0 || lastWords === '' ? '' : `: ${lastWords}`}`;
}

/** A program that answers lines on standard input; its peak memory is read while it waits for more. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { CommandLine } from './machines.ts';

const ANSWER_TIMEOUT_MS = 120_000;

export class Dialog {
  readonly #process: ChildProcessWithoutNullStreams;
  #output = '';
  #look: () => void = () => undefined;

  constructor({ command, args }: CommandLine, env: NodeJS.ProcessEnv) {
    this.#process = spawn(command, args, { env });
    this.#process.stdout.on('data', (chunk: Buffer) => {
      this.#output += chunk.toString('latin1');
      this.#look();
    });
  }

  /** Resolves when that is in all the output so far. */
  async ask(text: string, answer: (output: string) => boolean): Promise<void> {
    this.#process.stdin.write(text);
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`no answer to ${text.slice(0, 100)}`)),
        ANSWER_TIMEOUT_MS,
      );
      this.#look = () => {
        if (!answer(this.#output)) return;
        clearTimeout(timer);
        resolve();
      };
      this.#look();
    });
  }

  /** VmHWM: the most that was resident at once. */
  get peakMib(): number {
    const status = readFileSync(`/proc/${this.#process.pid}/status`, 'utf8');
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? NaN) / 1024;
  }

  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill('SIGKILL');
    await ended;
  }
}

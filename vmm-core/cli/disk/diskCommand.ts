/** What commands for disks share: their errors, their progress, and Ctrl-C. */
import { availableParallelism, constants } from 'node:os';
import { DiskError } from '../../backends/disk/diskError.ts';
import { standardError } from '../../client/output.ts';
import { fail, isForUser } from '../arguments.ts';

const SIGNALS = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const;
/** Of node's pool, which reads and compresses; as many as are compressed at once (copyImage.ts). */
const MAX_POOL_THREADS = 8;
/** Ended by a signal, as a shell shows it. */
const EXIT_BY_SIGNAL = 128;
/** What is done sooner shows no bar. */
const BAR_AFTER_MS = 1000;
const BAR_EVERY_MS = 100;
const BAR_CELLS = 40;

/** Runs `body`; what a user can cause becomes one line and exit code 1. */
export async function diskCommand(body: () => number | Promise<number>): Promise<number> {
  // libuv reads it when the pool gets its first work. More threads than cores keep this one from its own.
  process.env.UV_THREADPOOL_SIZE ??= String(Math.min(availableParallelism(), MAX_POOL_THREADS));
  try {
    return await body();
  } catch (error) {
    if (error instanceof Interrupted) return EXIT_BY_SIGNAL + constants.signals[error.signal];
    if (isForUser(error) || error instanceof DiskError) return fail(error.message);
    throw error;
  }
}

export interface Work {
  readonly signal: AbortSignal;
  readonly onProgress: (doneBytes: number) => void;
}

/** Work that takes long: a bar on a terminal, and Ctrl-C stops it in order, by its signal. */
export async function withProgress(totalBytes: number, body: (work: Work) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const interrupt = (signal: NodeJS.Signals): void => stop.abort(new Interrupted(signal));
  for (const it of SIGNALS) process.on(it, interrupt); // a second one must not leave half a file either
  const bar = new ProgressBar(totalBytes);
  try {
    await body({ signal: stop.signal, onProgress: (done) => bar.show(done) });
  } finally {
    bar.clear();
    for (const it of SIGNALS) process.removeListener(it, interrupt);
  }
}

class Interrupted extends Error {
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super(`ended by ${signal}`);
    this.signal = signal;
  }
}

class ProgressBar {
  readonly #totalBytes: number;
  readonly #start = performance.now();
  #shownAt = 0;

  constructor(totalBytes: number) {
    this.#totalBytes = totalBytes;
  }

  show(doneBytes: number): void {
    const now = performance.now();
    if (now - this.#start < BAR_AFTER_MS || now - this.#shownAt < BAR_EVERY_MS) return;
    if (!process.stderr.isTTY) return; // the last question: to answer it, node loads its streams
    this.#shownAt = now;
    standardError.write(`\r${progressText(doneBytes, this.#totalBytes)}`);
  }

  clear(): void {
    if (this.#shownAt > 0) standardError.write('\r\x1b[K');
  }
}

/** `[########                ]  33 %` */
export function progressText(doneBytes: number, totalBytes: number): string {
  const share = totalBytes === 0 ? 1 : Math.min(1, doneBytes / totalBytes);
  const full = Math.floor(share * BAR_CELLS);
  const percent = String(Math.floor(share * 100)).padStart(3);
  return `[${'#'.repeat(full)}${' '.repeat(BAR_CELLS - full)}] ${percent} %`;
}

/**
 * The host's end of a serial port that is a descriptor: standard output, a file, a device, a FIFO. Written
 * without ever blocking the main thread: what the other side has not taken waits here, and the writer
 * asks `isBehind` before there is more. Main thread.
 */
import { closeSync, constants, fstatSync, openSync, type Stats, statSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { fileErrorText, kindOfFile } from '../../client/regularFile.ts';
import { UserError } from '../../errors.ts';
import { setNonBlocking } from '../../kvm/libc.ts';

const STDOUT = 1;
/**
 * Without a stream, nothing tells when a full pipe has room again; loading node's streams takes milliseconds
 * at start.
 */
const RETRY_MS = 5;
const WRITE_ONLY = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
/**
 * Appended to, so that no output is lost to another writer (another port, say) or to one that empties the
 * file meanwhile.
 */
const NEW_FILE = WRITE_ONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_APPEND;

export class OutputSink {
  /** The other side has taken everything. */
  onDrained: () => void = () => undefined;
  /** Nothing more can be written; what is, is swallowed from now on. Called once. */
  onBroken: (error: NodeJS.ErrnoException) => void = () => undefined;
  readonly #fd: number;
  readonly #write: (fd: number, bytes: Uint8Array) => number;
  #pending: Uint8Array[] = [];
  #isBroken = false;
  #retry: NodeJS.Timeout | undefined;
  readonly #waiters: (() => void)[] = [];

  /** `fd` must not block. */
  constructor(fd: number, write: (fd: number, bytes: Uint8Array) => number = writeSync) {
    this.#fd = fd;
    this.#write = write;
  }

  /** Written, and not taken by the other side yet. */
  get isBehind(): boolean {
    return this.#pending.length > 0;
  }

  get pendingBytes(): number {
    return this.#pending.reduce((sum, part) => sum + part.length, 0);
  }

  write(bytes: Uint8Array): void {
    if (this.#isBroken || bytes.length === 0) return;
    this.#pending.push(bytes);
    if (this.#retry === undefined) this.#flush();
  }

  /** Resolves when everything has been taken, or no longer can be. */
  drained(): Promise<void> {
    if (!this.isBehind) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  close(): void {
    clearTimeout(this.#retry);
    this.#pending = [];
    this.#settle();
    if (this.#fd !== STDOUT) closeSync(this.#fd);
  }

  #flush(): void {
    this.#retry = undefined;
    try {
      while (this.#pending[0] !== undefined) {
        const [first] = this.#pending;
        const taken = this.#write(this.#fd, first);
        if (taken < first.length) this.#pending[0] = first.subarray(taken);
        else this.#pending.shift();
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') {
        this.#retry = setTimeout(() => this.#retryFlush(), RETRY_MS);
        return;
      }
      this.#pending = [];
      this.#isBroken = true;
      this.onBroken(error as NodeJS.ErrnoException);
    }
    this.#settle();
  }

  #retryFlush(): void {
    this.#flush();
    if (!this.isBehind) this.onDrained();
  }

  #settle(): void {
    for (const resolve of this.#waiters.splice(0)) resolve();
  }
}

/** Standard output, which others may hold too: made non-blocking for us alone where that is possible. */
export function standardOutputSink(): OutputSink {
  const found = statsOf(STDOUT);
  if (found?.isFIFO() === true || (found?.isCharacterDevice() === true && isatty(STDOUT))) {
    const own = reopened(STDOUT);
    if (own !== undefined) return new OutputSink(own);
  }
  // node undoes it at its end
  if (found?.isFIFO() === true || found?.isSocket() === true) setNonBlocking(STDOUT);
  return new OutputSink(STDOUT);
}

/**
 * A file that is made anew, or a device or FIFO that somebody reads. Throws UserError. Opened without
 * waiting, and looked at before: a FIFO nobody reads would block for ever, and others act when they are
 * opened.
 */
export function fileSink(path: string): OutputSink {
  try {
    assertWritable(statSync(path, { throwIfNoEntry: false }));
    const fd = openSync(path, NEW_FILE, 0o600);
    assertWritable(fstatSync(fd));
    return new OutputSink(fd);
  } catch (cause) {
    throw new UserError(`cannot write the serial log ${path}: ${openError(path, cause)}`, { cause });
  }
}

function assertWritable(found: Stats | undefined): void {
  if (found === undefined || found.isFile() || found.isFIFO() || found.isCharacterDevice()) return;
  throw new UserError(`it is ${kindOfFile(found)}, not a file`);
}

/** ENXIO is also what a device without anything behind it says: /dev/tty where there is no terminal. */
function openError(path: string, cause: unknown): string {
  const { code } = cause as NodeJS.ErrnoException;
  return code === 'ENXIO' && statSync(path, { throwIfNoEntry: false })?.isFIFO() === true
    ? 'nobody reads this FIFO: start the program that does first'
    : fileErrorText(cause);
}

function reopened(fd: number): number | undefined {
  try {
    return openSync(`/proc/self/fd/${fd}`, WRITE_ONLY);
  } catch {
    return undefined; // no /proc, another user's, or nobody reads any longer: the first write tells
  }
}

function statsOf(fd: number): Stats | undefined {
  try {
    return fstatSync(fd);
  } catch {
    return undefined; // closed: the first write tells
  }
}

/**
 * The host's end of one UART: what the guest writes goes to the back end of its configuration and to attached clients; a bounded
 * backlog serves clients that come late. Main thread.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import type { SerialBackend } from '../config/vmConfig.ts';
import { UserError } from '../errors.ts';

export const BACKLOG_BYTES = 64 * 1024;

export class SerialPort {
  readonly #backend: SerialBackend;
  readonly #fd: number | undefined;
  readonly #listeners = new Set<(bytes: Uint8Array) => void>();
  /** The last bytes written: byte n of all stands at n modulo its length. Made at the first byte. */
  #backlog: Uint8Array | undefined;
  #written = 0;

  /** Throws UserError when the file of a `file` back end cannot be made. */
  constructor(backend: SerialBackend) {
    this.#backend = backend;
    this.#fd = backend.kind === 'file' ? openLog(backend.path) : undefined;
  }

  /** From the guest. */
  write(bytes: Uint8Array): void {
    if (this.#backend.kind === 'stdio') writeAll(1, bytes);
    if (this.#fd !== undefined) writeAll(this.#fd, bytes);
    this.#remember(bytes);
    for (const listener of this.#listeners) listener(bytes);
  }

  /** Calls `listener` with all that comes. Returns what came so far, at most BACKLOG_BYTES. */
  attach(listener: (bytes: Uint8Array) => void): Uint8Array {
    this.#listeners.add(listener);
    if (this.#backlog === undefined) return new Uint8Array();
    if (this.#written <= BACKLOG_BYTES) return this.#backlog.slice(0, this.#written);
    const oldest = this.#written % BACKLOG_BYTES;
    return Buffer.concat([this.#backlog.subarray(oldest), this.#backlog.subarray(0, oldest)]);
  }

  detach(listener: (bytes: Uint8Array) => void): void {
    this.#listeners.delete(listener);
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
  }

  #remember(bytes: Uint8Array): void {
    this.#backlog ??= new Uint8Array(BACKLOG_BYTES);
    const tail = bytes.subarray(Math.max(0, bytes.length - BACKLOG_BYTES));
    const at = (this.#written + bytes.length - tail.length) % BACKLOG_BYTES;
    const first = tail.subarray(0, BACKLOG_BYTES - at);
    this.#backlog.set(first, at);
    this.#backlog.set(tail.subarray(first.length), 0);
    this.#written += bytes.length;
  }
}

function openLog(path: string): number {
  try {
    return openSync(path, 'w', 0o600);
  } catch (cause) {
    throw new UserError(`cannot write the serial log ${path}: ${(cause as Error).message}`, { cause });
  }
}

/** Synchronous: nothing is lost when the process ends right after. A full pipe is waited for; a closed one swallows. */
function writeAll(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) {
    try {
      done += writeSync(fd, bytes, done);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return; // EPIPE, EIO: nobody reads any more
    }
  }
}

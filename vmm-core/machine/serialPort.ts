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
  readonly #backlog: Uint8Array[] = [];
  #backlogBytes = 0;

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
    const all = Buffer.concat(this.#backlog);
    return all.subarray(Math.max(0, all.length - BACKLOG_BYTES));
  }

  detach(listener: (bytes: Uint8Array) => void): void {
    this.#listeners.delete(listener);
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
  }

  #remember(bytes: Uint8Array): void {
    this.#backlog.push(bytes);
    this.#backlogBytes += bytes.length;
    while (this.#backlogBytes - (this.#backlog[0]?.length ?? 0) >= BACKLOG_BYTES) {
      this.#backlogBytes -= this.#backlog.shift()?.length ?? 0;
    }
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

/**
 * Opening what a user named as a file, when it may be anything: a FIFO blocks any code that opens or reads
 * it, a device such as /dev/zero never ends, others act when they are opened. So it is checked before, opened
 * without waiting, and checked again: in between, the name can come to mean another file.
 */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { getSystemErrorMap } from 'node:util';

/**
 * A directory, a device, a FIFO or a socket where a file was expected. `message` is a sentence for the user.
 */
export class NotAFileError extends Error {
  /** "a FIFO", "a directory". */
  readonly kind: string;

  constructor(path: string, kind: string) {
    super(`${quoted(path)} is ${kind}, not a file`);
    this.kind = kind;
    this.name = 'NotAFileError';
  }
}

/** `message` is a sentence for the user. */
export class FileTooLargeError extends Error {
  constructor(path: string, maxBytes: number) {
    super(`${quoted(path)} is larger than ${sizeText(maxBytes)}, the most that is read here`);
    this.name = 'FileTooLargeError';
  }
}

export interface RegularFile {
  readonly fd: number;
  readonly stat: Stats;
}

export interface ReadLimits {
  readonly maxBytes: number;
}

const NO_WAITING = constants.O_NONBLOCK | constants.O_NOCTTY;
const CHUNK_BYTES = 64 * 1024;

/**
 * `flags` as open(2)'s, `mode` for a file it makes. Throws NotAFileError and the errors of node:fs: see
 * `fileErrorText`.
 */
export function openRegularFile(path: string, flags = constants.O_RDONLY, mode = 0o666): RegularFile {
  return openChecked(path, flags, mode, assertFile);
}

/** The same for what may be a block device as well: a disk. */
export function openFileOrBlockDevice(path: string, flags: number): RegularFile {
  return openChecked(path, flags, 0, (_, found) => (found.isBlockDevice() ? found : assertFile(path, found)));
}

/** The same for callers that must not block a thread on a slow disk. The handle is the caller's to close. */
export async function openRegularFileAsync(path: string): Promise<{ handle: FileHandle; stat: Stats }> {
  assertFile(path, await stat(path));
  const handle = await open(path, constants.O_RDONLY | NO_WAITING);
  try {
    return { handle, stat: assertFile(path, await handle.stat()) };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * All of it, up to its end: stat(2) reports size 0 in /proc. Throws NotAFileError, FileTooLargeError and the
 * errors of node:fs.
 */
export function readRegularFile(path: string, { maxBytes }: ReadLimits): Buffer {
  const { fd, stat } = openRegularFile(path);
  try {
    return readToEnd(path, fd, maxBytes, stat.size);
  } finally {
    closeSync(fd);
  }
}

export async function readRegularFileAsync(path: string, { maxBytes }: ReadLimits): Promise<Buffer> {
  const { handle, stat } = await openRegularFileAsync(path);
  try {
    if (stat.size > maxBytes) throw new FileTooLargeError(path, maxBytes);
    const chunks: Buffer[] = [];
    for (let total = 0; ;) {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(chunkBytes(stat.size, total)));
      if (bytesRead === 0) return Buffer.concat(chunks);
      total += bytesRead;
      if (total > maxBytes) throw new FileTooLargeError(path, maxBytes);
      chunks.push(buffer.subarray(0, bytesRead));
    }
  } finally {
    await handle.close();
  }
}

/**
 * Reads an open descriptor, such as standard input, to its end. `expectedBytes`: a guess, for one read
 * instead of many.
 */
export function readToEnd(name: string, fd: number, maxBytes: number, expectedBytes = 0): Buffer {
  if (expectedBytes > maxBytes) throw new FileTooLargeError(name, maxBytes);
  const chunks: Buffer[] = [];
  for (let total = 0; ;) {
    const chunk = Buffer.alloc(chunkBytes(expectedBytes, total));
    const count = readSync(fd, chunk, 0, chunk.length, null);
    if (count === 0) return Buffer.concat(chunks);
    total += count;
    if (total > maxBytes) throw new FileTooLargeError(name, maxBytes);
    chunks.push(chunk.subarray(0, count));
  }
}

/**
 * What went wrong with a file, to follow a colon: "no such file or directory (ENOENT)"; our own sentences as
 * they are.
 */
export function fileErrorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, errno } = error as NodeJS.ErrnoException;
  if (code === 'ERR_INVALID_ARG_VALUE') return 'a name with a NUL character is not a file name';
  const text = errno === undefined ? undefined : getSystemErrorMap().get(errno)?.[1];
  return code === undefined || text === undefined ? error.message : `${text} (${code})`;
}

/** "a FIFO": what was found where a file was expected. */
export function kindOfFile(found: Stats): string {
  if (found.isDirectory()) return 'a directory';
  if (found.isFIFO()) return 'a FIFO';
  if (found.isSocket()) return 'a socket';
  if (found.isCharacterDevice() || found.isBlockDevice()) return 'a device';
  return found.isFile() ? 'a file' : 'something else';
}

/** A name in a message: on one line, whatever is in it. */
export function quoted(path: string): string {
  return JSON.stringify(path);
}

function openChecked(
  path: string,
  flags: number,
  mode: number,
  check: (path: string, found: Stats) => Stats,
): RegularFile {
  const before = statSync(path, { throwIfNoEntry: false });
  if (before !== undefined) check(path, before);
  const fd = openSync(path, flags | NO_WAITING, mode);
  try {
    return { fd, stat: check(path, fstatSync(fd)) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function assertFile(path: string, found: Stats): Stats {
  if (!found.isFile()) throw new NotAFileError(path, kindOfFile(found));
  return found;
}

/** Room for one more byte than expected shows that there are no more. */
function chunkBytes(expectedBytes: number, total: number): number {
  return Math.max(expectedBytes - total + 1, CHUNK_BYTES);
}

function sizeText(bytes: number): string {
  return bytes >= 2 ** 20 ? `${Math.floor(bytes / 2 ** 20)} MiB` : `${bytes} bytes`;
}

/** A file that is made whole or not at all: beside its place until it is complete. */
import { closeSync, linkSync, lstatSync, openSync, renameSync, rmSync, unlinkSync } from 'node:fs';
import path from 'node:path';
import { fileErrorText, quoted } from '../../client/regularFile.ts';
import { UserError } from '../../errors.ts';
import { HostFile } from './imageFile.ts';

/** Of link(2) where a file system has no hard links: FAT, some network file systems. */
const NO_LINKS = new Set(['EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS']);

/** Nobody else knows its name, so it needs no lock. */
export class NewImageFile {
  readonly file: HostFile;
  readonly #path: string;
  readonly #beside: string;

  /** Throws UserError: among others when there is a file of this name. */
  constructor(file: string) {
    if (isTaken(file)) throw existsError(file);
    this.#path = file;
    this.#beside = path.join(path.dirname(file), `.vmm-${process.pid}-${process.hrtime.bigint()}`);
    this.file = new HostFile({
      fd: create(this.#beside, file),
      path: file,
      alignmentBytes: 1,
      isUnsafe: true,
    });
  }

  /** Gives it its name. The descriptor stays open. Throws UserError; then it is still to be dropped. */
  keep(): void {
    giveName(this.#beside, this.#path);
  }

  /** Removes what there is of it. */
  drop(): void {
    rmSync(this.#beside, { force: true });
  }

  close(): void {
    closeSync(this.file.fd);
  }
}

/** Moves a file to a name that none has. Throws UserError. */
export function giveName(from: string, to: string, link = linkSync): void {
  try {
    link(from, to); // does not replace what may be there by now
    unlinkSync(from);
  } catch (cause) {
    const { code = '' } = cause as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw existsError(to, cause);
    if (!NO_LINKS.has(code)) throw makeError(to, cause);
    if (isTaken(to)) throw existsError(to, cause);
    renameSync(from, to);
  }
}

function create(beside: string, file: string): number {
  try {
    return openSync(beside, 'wx+', 0o600);
  } catch (cause) {
    throw makeError(file, cause);
  }
}

/** Throws UserError: the folder does not let us look. */
function isTaken(file: string): boolean {
  try {
    return lstatSync(file, { throwIfNoEntry: false }) !== undefined;
  } catch (cause) {
    throw makeError(file, cause);
  }
}

function makeError(file: string, cause: unknown): UserError {
  return new UserError(`cannot make ${quoted(file)}: ${fileErrorText(cause)}${cureOf(cause)}`, { cause });
}

function cureOf(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return '; make its folder first';
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
    case 'ENOTDIR':
      return '; choose another folder';
    case 'ENAMETOOLONG':
      return '; choose another name';
    default:
      return '';
  }
}

function existsError(file: string, cause?: unknown): UserError {
  return new UserError(`${quoted(file)} exists already: remove it first, or choose another name`, { cause });
}

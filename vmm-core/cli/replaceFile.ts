/** Writes a file that must not be lost: next to it first, then in its place. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { openRegularFile } from '../client/regularFile.ts';

const PERMISSIONS = 0o7777;

/**
 * Gives the file this content, whole or not at all; mode and owner stay, and a link stays a link. Throws the
 * errors of node:fs; then the file is as it was, and nothing is left next to it.
 */
export function replaceFile(file: string, content: Uint8Array): void {
  const target = realpathSync(file);
  // a file that must not be written is not replaced either
  const { fd: old, stat } = openRegularFile(target, constants.O_WRONLY);
  closeSync(old);
  // With anything added, its own name could be too long.
  const beside = path.join(path.dirname(target), `.vmm-${process.pid}-${randomBytes(4).toString('hex')}`);
  const fd = openSync(beside, 'wx', 0o600);
  try {
    fill(fd, content, stat);
    renameSync(beside, target);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
}

/** Closes it in any case: a network file system may report only then that it could not be written. */
function fill(fd: number, content: Uint8Array, like: Stats): void {
  try {
    for (let done = 0; done < content.length;) done += writeSync(fd, content, done);
    const { uid, gid } = fstatSync(fd);
    if (uid !== like.uid || gid !== like.gid) fchownSync(fd, like.uid, like.gid);
    fchmodSync(fd, like.mode & PERMISSIONS); // after the owner: changing it clears the set-id bits
    fsyncSync(fd); // or a crash after the rename could leave an empty file
  } finally {
    closeSync(fd);
  }
}

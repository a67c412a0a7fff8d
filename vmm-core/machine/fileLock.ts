/** A lock between processes that ends with its holder, however that ends. */
import { closeSync, constants, openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { UserError } from '../errors.ts';
import { tryLock } from '../kvm/libc.ts';

const RETRY_MS = 5;
/** Whoever holds it works for milliseconds; on a loaded machine for longer. */
const PATIENCE_MS = 20_000;

/**
 * Runs `body` while nobody else runs one with the lock file at `path`, which is made when missing. Throws
 * UserError.
 */
export async function withFileLock<T>(path: string, body: () => Promise<T>): Promise<T> {
  const fd = openLockFile(path);
  try {
    const deadline = performance.now() + PATIENCE_MS;
    while (!tryLock(fd)) {
      if (performance.now() > deadline)
        throw new UserError(
          `another process holds ${path} for ${PATIENCE_MS / 1000} s: end it, or try again`,
        );
      await delay(RETRY_MS);
    }
    return await body();
  } finally {
    closeSync(fd);
  }
}

function openLockFile(path: string): number {
  try {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    return openSync(path, flags, 0o600);
  } catch (cause) {
    throw new UserError(`cannot open ${path}: ${(cause as Error).message}`, { cause });
  }
}

/** Where control sockets live: `<runtime dir>/trapframe/<name>.sock`, directory 0700, sockets 0600. */
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

/** The directory, made when missing. Throws an Error with a sentence when it exists and is not ours alone. */
export function runtimeDir(): string {
  const base = process.env.XDG_RUNTIME_DIR;
  const dir = base ? join(base, 'trapframe') : join(tmpdir(), `trapframe-${userInfo().uid}`);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const stat = statSync(dir);
  if (!stat.isDirectory() || stat.uid !== userInfo().uid || (stat.mode & 0o077) !== 0) {
    throw new Error(
      `${dir} must be a directory that only you can enter: chmod 700 it, or set XDG_RUNTIME_DIR`,
    );
  }
  return dir;
}

export function socketPath(name: string): string {
  return join(runtimeDir(), `${name}.sock`);
}

/** Names of all sockets present, dead or alive. */
export function socketNames(): string[] {
  return readdirSync(runtimeDir())
    .filter((file) => file.endsWith('.sock'))
    .map((file) => file.slice(0, -'.sock'.length))
    .sort();
}

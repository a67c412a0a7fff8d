/** Where control sockets live: `<runtime dir>/trapframe/<name>.sock`, directory 0700, sockets 0600. */
import { lstatSync, mkdirSync, readdirSync, type Stats } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** There is no folder for control sockets. `message` is a sentence for the user. */
export class RuntimeDirError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RuntimeDirError';
  }
}

/** The directory, made when missing. Throws RuntimeDirError when it cannot be made, or is not ours alone. */
export function runtimeDir(): string {
  const base = process.env.XDG_RUNTIME_DIR;
  const dir = base ? join(base, 'trapframe') : join(tmpdir(), `trapframe-${userId()}`);
  const stat = makeDir(dir);
  if (!stat.isDirectory() || stat.uid !== userId() || (stat.mode & 0o077) !== 0) {
    throw new RuntimeDirError(
      `${dir} must be a directory that only you can enter: chmod 700 it, or set XDG_RUNTIME_DIR`,
    );
  }
  return dir;
}

/**
 * Not by os.userInfo: in a container the user may have no entry in /etc/passwd, and with all descriptors in
 * use it cannot be read.
 */
function userId(): number {
  return process.getuid?.() ?? -1;
}

function makeDir(dir: string): Stats {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    return lstatSync(dir); // the owner of a link could point it elsewhere later
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new RuntimeDirError(
      `cannot make the directory ${dir} for control sockets (${code}): set XDG_RUNTIME_DIR to one that you can write`,
      { cause },
    );
  }
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

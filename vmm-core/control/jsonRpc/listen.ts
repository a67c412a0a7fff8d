/**
 * Names of control sockets. A socket gets its name only once a process listens on it, and names are given
 * and removed by one process at a time: otherwise two VMs that find a dead one's socket could remove each
 * other's.
 */
import { chmodSync, renameSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { runtimeDir, socketPath } from '../../client/runtimeDir.ts';
import { UserError } from '../../errors.ts';
import { withFileLock } from '../../machine/fileLock.ts';

const LOCK_FILE = '.lock';
const MAX_SAME_NAMES = 100;
/** sockaddr_un.sun_path with its NUL. Longer ones are silently truncated. */
const MAX_PATH_BYTES = 107;
/** Running out of resources here says nothing about the other side. */
const OWN_LIMITS = ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'];

export interface NamedServer {
  readonly server: Server;
  readonly name: string;
  readonly path: string;
}

/**
 * Listens as `<name>.sock`, or `<name>-2.sock` … when a live VM has the name. Dead sockets are replaced.
 * Throws UserError.
 */
export async function listenAs(name: string, accept: (socket: Socket) => void): Promise<NamedServer> {
  checkLength(socketPath(name));
  const { server, hidden } = await listenHidden(accept);
  try {
    const given = await withFileLock(join(runtimeDir(), LOCK_FILE), () => giveName(hidden, name));
    return { server, name: given, path: socketPath(given) };
  } catch (error) {
    server.close();
    throw error;
  }
}

/** With the lock held. */
async function giveName(hidden: string, name: string): Promise<string> {
  for (let n = 1; n <= MAX_SAME_NAMES; n++) {
    const candidate = n === 1 ? name : `${name}-${n}`;
    const path = socketPath(candidate);
    checkLength(path);
    if (await isAlive(path)) continue;
    renameSync(hidden, path);
    return candidate;
  }
  throw new UserError(`${MAX_SAME_NAMES} VMs named ${name} are running: give this one another name`);
}

function checkLength(path: string): void {
  if (Buffer.byteLength(path) <= MAX_PATH_BYTES) return;
  throw new UserError(
    `the control socket ${path} has too long a path (at most ${MAX_PATH_BYTES} bytes): give the VM a shorter name, or set XDG_RUNTIME_DIR`,
  );
}

/** At a hidden path, no longer than that of any name. */
async function listenHidden(accept: (socket: Socket) => void): Promise<{ server: Server; hidden: string }> {
  for (;;) {
    const hidden = join(runtimeDir(), `.${randomBytes(3).toString('base64url')}`);
    const server = createServer(accept);
    const failure = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
      server.once('error', resolve);
      server.listen(hidden, () => resolve(undefined));
    });
    if (failure === undefined) {
      chmodSync(hidden, 0o600);
      return { server, hidden };
    }
    if (failure.code !== 'EADDRINUSE')
      throw new UserError(`cannot listen at ${hidden}: ${failure.message}`, { cause: failure });
  }
}

/**
 * Whether a process listens at the socket, even one too busy to accept. Throws UserError when this process
 * cannot find out.
 */
export function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (cause: NodeJS.ErrnoException) => {
      const { code = '' } = cause;
      if (OWN_LIMITS.includes(code))
        reject(new UserError(`cannot see who listens at ${path}: ${cause.message}`, { cause }));
      else resolve(code !== 'ECONNREFUSED' && code !== 'ENOENT');
    });
  });
}

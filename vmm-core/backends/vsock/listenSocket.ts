/**
 * The socket at which programs of the host connect to the guest: made on main, with names checked, and then
 * the I/O thread's (hostSockets.ts). Main takes its name away when the VM ends.
 */
import { chmodSync, lstatSync, type Stats, unlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { AF_UNIX, SOCK_STREAM } from '../../abi/socket.ts';
import { runtimeDir } from '../../client/runtimeDir.ts';
import type { VsockConfig } from '../../config/settings/vsock.ts';
import { errnoText, UserError } from '../../errors.ts';
import { closeFd } from '../../kvm/libc.ts';
import { bindSocket, connectSocket, listenOn, openSocket } from '../../kvm/net/sockets.ts';
import { log } from '../../log.ts';

/** Plain data. */
export interface VsockOpened {
  /** What programs connect to; a program that the guest may connect to listens at `PATH_PORT`. */
  readonly path: string;
  readonly listenFd: number;
}

const { ECONNREFUSED, EADDRINUSE, EMFILE, ENFILE, ENOBUFS, ENOMEM } = constants.errno;
/** Running out of resources here says nothing about who listens. */
const OWN_LIMITS = [EMFILE, ENFILE, ENOBUFS, ENOMEM];

/** sockaddr_un.sun_path with its NUL, and room for `_4294967295`. */
const MAX_PATH_BYTES = 107 - 11;
const BACKLOG = 128;
/** Others than the VM's owner do not get in. */
const MODE = 0o600;

/** Where programs find it. */
export function vsockPath({ socket }: VsockConfig, vmName: string): string {
  return socket ?? join(runtimeDir(), `${vmName}.vsock`);
}

export class ListenSocket {
  readonly opened: VsockOpened;
  /** What is at the path now. */
  readonly #made: Stats;

  /** Throws UserError; then nothing is open, and nothing was made. */
  constructor(path: string) {
    if (Buffer.byteLength(path) > MAX_PATH_BYTES)
      throw new UserError(
        `the vsock socket ${JSON.stringify(path)} has too long a path: at most ${MAX_PATH_BYTES} bytes, since ports are appended to it`,
      );
    removeStale(path);
    const listenFd = openSocket(AF_UNIX, SOCK_STREAM);
    if (listenFd < 0) throw failure(path, listenFd);
    const bound = bindSocket(listenFd, { family: 'unix', path });
    if (bound < 0) {
      closeFd(listenFd);
      throw failure(path, bound);
    }
    chmodSync(path, MODE); // nobody can connect before it listens
    const listening = listenOn(listenFd, BACKLOG);
    if (listening < 0) {
      closeFd(listenFd);
      unlinkSync(path);
      throw failure(path, listening);
    }
    this.#made = lstatSync(path);
    this.opened = { path, listenFd };
  }

  /** Its name, if that is not another's by now. What else the VM has is closed even if its folder is gone. */
  remove(): void {
    const { path } = this.opened;
    try {
      const found = lstatSync(path, { throwIfNoEntry: false });
      if (found !== undefined && isSame(found, this.#made)) unlinkSync(path);
    } catch (error) {
      log.warn('unix', 'the socket of the vsock is left behind', { path, error: (error as Error).message });
    }
  }
}

/** Numbers of files are used again at once. */
function isSame(one: Stats, other: Stats): boolean {
  return one.ino === other.ino && one.dev === other.dev && one.birthtimeMs === other.birthtimeMs;
}

/** What a VM that was killed has left behind. Throws UserError for what is anybody else's. */
function removeStale(path: string): void {
  const name = JSON.stringify(path);
  const found = statOf(path);
  if (found === undefined) return;
  if (!found.isSocket())
    throw new UserError(`${name} is there already and no socket: give the vsock another path, or remove it`);
  const result = tryConnect(path);
  if (-result !== ECONNREFUSED) {
    if (OWN_LIMITS.includes(-result)) throw failure(path, result);
    throw new UserError(
      `${name} is a socket in use, or of somebody else: give the vsock another path, or end who listens there`,
    );
  }
  try {
    unlinkSync(path);
  } catch (cause) {
    const { message } = cause as Error;
    throw new UserError(`cannot replace the old socket ${name}: ${message}`, { cause });
  }
}

function statOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (cause) {
    const { message } = cause as Error;
    throw new UserError(`cannot look at the vsock socket ${JSON.stringify(path)}: ${message}`, { cause });
  }
}

function tryConnect(path: string): number {
  const fd = openSocket(AF_UNIX, SOCK_STREAM);
  if (fd < 0) return fd;
  const result = connectSocket(fd, { family: 'unix', path });
  closeFd(fd);
  return result;
}

function failure(path: string, result: number): UserError {
  const cure =
    -result === EADDRINUSE
      ? 'another VM has just taken it'
      : 'make its folder, or give the vsock another path';
  return new UserError(
    `cannot listen at the vsock socket ${JSON.stringify(path)}: ${errnoText(-result)}; ${cure}`,
  );
}

/**
 * Where the members of a switch find each other: a folder with a socket of each. That of a plain name is the
 * user's own; a switch that users share is named by the path of a folder, whose owner, group and mode say who
 * may join, as with any file. Main thread.
 */
import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { getSystemErrorName } from 'node:util';
import { AF_UNIX, SOCK_SEQPACKET } from '../../../abi/socket.ts';
import { runtimeDir } from '../../../client/runtimeDir.ts';
import { UserError } from '../../../errors.ts';
import { EPERM } from '../../../kvm/errno.ts';
import { changeMode, changeOwner, FileStatus, openFolder, openPlace, statusOf } from '../../../kvm/files.ts';
import { closeFd } from '../../../kvm/libc.ts';
import { bindSocket, listenOn, openSocket } from '../../../kvm/net/sockets.ts';

const FOLDER = 'switches';
const SUFFIX = '.port';
/** As long: one that nobody can connect to yet, and so would be taken for a dead one's. */
const NEW_SUFFIX = '.join';
const BACKLOG = 64;
/** Of sun_path (unix(7)), with its end. */
const MAX_SOCKET_PATH_BYTES = 107;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const OWN_MODE = 0o700;
const WRITE_BY_OTHERS = 0o002;
const GROUP_BITS = 0o070;
const OWN_FILE_MODE = 0o600;
const SHARED_FILE_MODE = 0o660;

export interface Membership {
  readonly fd: number;
  /** Of its socket, without the folder: unlike that of any other member. */
  readonly id: string;
  readonly folder: string;
  /** Ids of those that were there before. */
  readonly others: readonly string[];
}

/** Throws UserError. */
export function joinSwitch(name: string, member: string): Membership {
  const folder = folderOf(name);
  const [id, newId] = [`${member}${SUFFIX}`, `${member}${NEW_SUFFIX}`];
  const [socket, newSocket] = [path.join(folder, id), path.join(folder, newId)];
  if (Buffer.byteLength(socket) > MAX_SOCKET_PATH_BYTES)
    throw new UserError(`switch ${JSON.stringify(name)}: ${socket} is too long for the path of a socket`);
  const fd = listeningAt(newSocket, name);
  try {
    shareIn(folder, newId);
    renameSync(newSocket, socket); // that of an earlier process of this VM with this pid is no more
    // After its own socket is there: of two that join at once, one at least sees the other.
    const others = readdirSync(folder).filter((it) => it.endsWith(SUFFIX) && it !== id);
    return { fd, id, folder, others };
  } catch (error) {
    closeFd(fd);
    [newSocket, socket].forEach(remove);
    throw error instanceof UserError ? error : cannotJoin(name, socket, (error as Error).message);
  }
}

export function leaveSwitch({ folder, id }: Pick<Membership, 'folder' | 'id'>): void {
  rmSync(path.join(folder, id), { force: true });
}

function folderOf(name: string): string {
  if (path.isAbsolute(name)) return sharedFolder(name);
  if (!NAME.test(name))
    throw new UserError(
      `switch ${JSON.stringify(name)}: a name has letters, digits, ".", "_" and "-", or is the path of a folder that VMs share`,
    );
  const folder = path.join(runtimeDir(), FOLDER, name);
  mkdirSync(folder, { recursive: true, mode: OWN_MODE });
  return folder;
}

/** Undefined when there is none. Throws UserError: one above it may be closed to us. */
function statOf(folder: string): { isDirectory(): boolean; readonly mode: number } | undefined {
  try {
    return statSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') return undefined;
    throw new UserError(`switch ${folder}: you may not look there: ask its owner to let you join`);
  }
}

function sharedFolder(folder: string): string {
  const stat = statOf(folder);
  if (stat?.isDirectory() !== true)
    throw new UserError(
      `switch ${folder} is not a folder: make it, with the owner and the mode of those who may join`,
    );
  if ((stat.mode & WRITE_BY_OTHERS) !== 0)
    throw new UserError(`switch ${folder}: everybody may write that folder, and so join: chmod o-w it`);
  return folder;
}

/**
 * Gives a file of ours in the folder to whom the folder says: its group, where the group may do anything in
 * it. By descriptors: whoever may write there could put a link to another file of ours in its place. Throws
 * UserError.
 */
export function shareIn(folder: string, name: string): void {
  const { mode, gid } = statSync(folder);
  const isShared = (mode & GROUP_BITS) !== 0;
  const dirFd = openFolder(folder);
  const place = dirFd < 0 ? dirFd : openPlace(dirFd, name);
  try {
    const found = new FileStatus();
    let result = place < 0 ? place : statusOf(place, found);
    if (result === 0 && found.u32('stx_uid') !== process.geteuid?.()) result = -EPERM;
    // A folder with the set-group-ID bit has done it already.
    if (result === 0 && isShared && found.u32('stx_gid') !== gid)
      result = changeOwner(place, found.u32('stx_uid'), gid);
    if (result === 0) result = changeMode(place, isShared ? SHARED_FILE_MODE : OWN_FILE_MODE);
    if (result === 0) return;
    throw new UserError(
      result === -EPERM
        ? `switch ${folder}: you are not in the group of that folder (${gid}), and so its members could not reach your VM`
        : `switch ${folder}: ${name} cannot be shared with its group: ${getSystemErrorName(result)}`,
    );
  } finally {
    for (const fd of [dirFd, place]) if (fd >= 0) closeFd(fd);
  }
}

function listeningAt(socket: string, name: string): number {
  remove(socket);
  const fd = openSocket(AF_UNIX, SOCK_SEQPACKET);
  let result = fd < 0 ? fd : bindSocket(fd, { family: 'unix', path: socket });
  if (result === 0) result = listenOn(fd, BACKLOG);
  if (result === 0) return fd;
  if (fd >= 0) closeFd(fd);
  remove(socket);
  throw cannotJoin(name, socket, getSystemErrorName(result));
}

/** Ours, or one of an earlier process with this pid. What cannot be removed, `bind` will tell of. */
function remove(socket: string): void {
  try {
    rmSync(socket, { force: true });
  } catch {
    // see above
  }
}

function cannotJoin(name: string, socket: string, why: string): UserError {
  return new UserError(
    `cannot join switch ${JSON.stringify(name)} at ${socket} (${why}): is the switch another user's?`,
  );
}

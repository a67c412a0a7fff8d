/**
 * Files beneath a folder, reached a name at a time from descriptors (openat(2) and its kin): what node:fs
 * does not offer, and what no symbolic link or rename of another process can lead astray. Names are the
 * kernel's, which are bytes: a character of a string here is one of them. Results are 0 or what is said, or
 * -errno. Safety, of all here: koffi pins buffers for the call, and the kernel keeps no pointer to them.
 */
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_FOLLOW,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  Statfs,
  STATX_BASIC_STATS,
  Statx,
} from '../abi/files.ts';
import { ENAMETOOLONG } from './errno.ts';
import { libcCall, resultOf } from './koffi.ts';

const libcOpenat = libcCall('int openat(int dirfd, void *path, int flags, unsigned int mode)');
const libcMkdirat = libcCall('int mkdirat(int dirfd, void *path, unsigned int mode)');
const libcSymlinkat = libcCall('int symlinkat(void *target, int dirfd, void *path)');
const libcLinkat = libcCall(
  'int linkat(int olddirfd, void *oldpath, int newdirfd, void *newpath, int flags)',
);
const libcRenameat = libcCall('int renameat(int olddirfd, void *oldpath, int newdirfd, void *newpath)');
const libcUnlinkat = libcCall('int unlinkat(int dirfd, void *path, int flags)');
const libcReadlinkat = libcCall('long readlinkat(int dirfd, void *path, void *into, size_t size)');
const libcFchmodat = libcCall('int fchmodat(int dirfd, void *path, unsigned int mode, int flags)');
const libcFchownat = libcCall(
  'int fchownat(int dirfd, void *path, unsigned int owner, unsigned int group, int flags)',
);
const libcUtimensat = libcCall('int utimensat(int dirfd, void *path, void *times, int flags)');
const libcTruncate = libcCall('int truncate(void *path, int64_t length)');
const libcFstatfs = libcCall('int fstatfs(int fd, void *into)');
const libcFsync = libcCall('int fsync(int fd)');
const libcLseek = libcCall('int64_t lseek(int fd, int64_t offset, int whence)');
const libcGetrlimit = libcCall('int getrlimit(int resource, void *into)');
// By number: older C libraries have no function for these. syscall is variadic, see libc.ts.
const syscallStatx = libcCall(
  'long syscall(long number, int dirfd, void *path, int flags, unsigned int mask, void *into)',
);
const syscallGetdents64 = libcCall('long syscall(long number, int fd, void *into, size_t size)');
const syscallMknodat = libcCall(
  'long syscall(long number, int dirfd, void *path, unsigned int mode, unsigned int device)',
);

const SYS_getdents64 = 217; // <asm/unistd_64.h>
const SYS_mknodat = 259;
const SYS_statx = 332;
const SEEK_SET = 0; // <linux/fs.h>
const RLIMIT_NOFILE = 7; // <asm-generic/resource.h>

/** PATH_MAX with the NUL. */
const PATH_BYTES = 4096;
const EMPTY = new Uint8Array(1);
const SELF = Buffer.from('.\0');
const PROC_FD = '/proc/self/fd/';

/** A path for the length of a call. A renaming has two. */
class PathBuffer {
  readonly bytes = Buffer.alloc(PATH_BYTES);

  /** False: it is too long. */
  set(text: string): boolean {
    if (text.length >= PATH_BYTES) return false;
    this.bytes[this.bytes.write(text, 'latin1')] = 0;
    return true;
  }
}

const path = new PathBuffer();
const otherPath = new PathBuffer();

/** What statx(2) says of a file. 64-bit numbers are left where they are, for whoever copies them. */
export class FileStatus {
  readonly bytes = new Uint8Array(Statx.size);
  readonly #view = new DataView(this.bytes.buffer);

  get mode(): number {
    return this.#view.getUint16(Statx.fields.stx_mode.offset, true);
  }
  u32(field: Exclude<keyof typeof Statx.fields, 'stx_mode'>): number {
    return this.#view.getUint32(Statx.fields[field].offset, true);
  }
  /** The upper half of a u64. */
  high(field: keyof typeof Statx.fields): number {
    return this.#view.getUint32(Statx.fields[field].offset + 4, true);
  }
}

/** A folder that a user names; its own path may have symbolic links. */
export function openFolder(folder: string): number {
  const name = Buffer.from(`${folder}\0`);
  return resultOf(libcOpenat(AT_FDCWD, name, O_PATH | O_DIRECTORY | O_CLOEXEC, 0));
}

/** A place in the tree, be it a file of any kind: nothing is opened, no link is followed. */
export function openPlace(dirFd: number, name: string): number {
  if (!path.set(name)) return -ENAMETOOLONG;
  return resultOf(libcOpenat(dirFd, path.bytes, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0));
}

/** Makes a file that is not there yet, and opens it (O_CREAT and O_EXCL among the flags). */
export function createFile(dirFd: number, name: string, flags: number, mode: number): number {
  if (!path.set(name)) return -ENAMETOOLONG;
  return resultOf(libcOpenat(dirFd, path.bytes, flags | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, mode));
}

/** Opens the very file that a place (openPlace) is, which must be a regular one. */
export function openFileAt(place: number, flags: number): number {
  setProcPath(place);
  return resultOf(libcOpenat(AT_FDCWD, path.bytes, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0));
}

export function openDirectoryAt(place: number): number {
  return resultOf(libcOpenat(place, SELF, O_DIRECTORY | O_NONBLOCK | O_CLOEXEC, 0));
}

export function statusOf(fd: number, into: FileStatus): number {
  return statx(fd, EMPTY, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, into);
}

export function statusAt(dirFd: number, name: string, into: FileStatus): number {
  if (!path.set(name)) return -ENAMETOOLONG;
  return statx(dirFd, path.bytes, AT_SYMLINK_NOFOLLOW, into);
}

/** Returns its length. */
export function readLinkAt(place: number, into: Uint8Array): number {
  return resultOf(libcReadlinkat(place, EMPTY, into, into.length));
}

export function makeDirectory(dirFd: number, name: string, mode: number): number {
  return path.set(name) ? resultOf(libcMkdirat(dirFd, path.bytes, mode)) : -ENAMETOOLONG;
}

export function makeLink(dirFd: number, name: string, target: string): number {
  if (!path.set(name) || !otherPath.set(target)) return -ENAMETOOLONG;
  return resultOf(libcSymlinkat(otherPath.bytes, dirFd, path.bytes));
}

/** A FIFO or a socket, by `mode`. */
export function makeNode(dirFd: number, name: string, mode: number): number {
  return path.set(name) ? resultOf(syscallMknodat(SYS_mknodat, dirFd, path.bytes, mode, 0)) : -ENAMETOOLONG;
}

/** One more name for the file that a place is. */
export function addName(place: number, dirFd: number, name: string): number {
  if (!otherPath.set(name)) return -ENAMETOOLONG;
  setProcPath(place);
  return resultOf(libcLinkat(AT_FDCWD, path.bytes, dirFd, otherPath.bytes, AT_SYMLINK_FOLLOW));
}

export function renameAt(dirFd: number, name: string, newDirFd: number, newName: string): number {
  if (!path.set(name) || !otherPath.set(newName)) return -ENAMETOOLONG;
  return resultOf(libcRenameat(dirFd, path.bytes, newDirFd, otherPath.bytes));
}

/** `flags`: AT_REMOVEDIR for a directory. */
export function removeName(dirFd: number, name: string, flags: number): number {
  return path.set(name) ? resultOf(libcUnlinkat(dirFd, path.bytes, flags)) : -ENAMETOOLONG;
}

/** Not of a symbolic link. */
export function changeMode(fd: number, mode: number): number {
  setProcPath(fd);
  return resultOf(libcFchmodat(AT_FDCWD, path.bytes, mode, 0));
}

/** -1 leaves one as it is. */
export function changeOwner(fd: number, owner: number, group: number): number {
  return resultOf(libcFchownat(fd, EMPTY, owner >>> 0, group >>> 0, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW));
}

/** Two struct timespec: of the last access and the last change. */
export function changeTimes(fd: number, times: Uint8Array): number {
  setProcPath(fd);
  return resultOf(libcUtimensat(AT_FDCWD, path.bytes, times, 0));
}

/** Of a regular file. */
export function changeSize(fd: number, lengthBytes: number): number {
  setProcPath(fd);
  return resultOf(libcTruncate(path.bytes, lengthBytes));
}

export function fileSystemOf(fd: number, into: Uint8Array): number {
  if (into.length < Statfs.size) throw new RangeError('no room for struct statfs');
  return resultOf(libcFstatfs(fd, into));
}

export function syncAll(fd: number): number {
  return resultOf(libcFsync(fd));
}

/** struct linux_dirent64 after another, from the directory's position on; 0 at its end. */
export function readDirectory(fd: number, into: Uint8Array): number {
  return resultOf(syscallGetdents64(SYS_getdents64, fd, into, into.length));
}

/** `offset`: d_off of the entry before; file systems use all 64 bits. */
export function seekDirectory(fd: number, offset: bigint): number {
  return Math.min(resultOf(libcLseek(fd, offset, SEEK_SET)), 0);
}

/** How many files this process may have open. */
export function openFilesLimit(): number {
  const limit = new BigInt64Array(2);
  if (libcGetrlimit(RLIMIT_NOFILE, limit) < 0) return 0;
  return Number(BigInt.asUintN(64, limit[0] ?? 0n));
}

function statx(fd: number, name: Uint8Array, flags: number, into: FileStatus): number {
  return resultOf(syscallStatx(SYS_statx, fd, name, flags, STATX_BASIC_STATS, into.bytes));
}

/** The kernel's name for what a descriptor of ours is: a link that leads there and nowhere else. */
function setProcPath(fd: number): void {
  path.set(`${PROC_FD}${fd}`);
}

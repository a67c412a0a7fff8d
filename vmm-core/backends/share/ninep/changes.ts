/** Messages that change a directory: Tlcreate, Tmkdir, Tsymlink, Tmknod, Tlink, Trename(at), Tunlinkat. */
import {
  AT_REMOVEDIR,
  O_CREAT,
  O_EXCL,
  O_NONBLOCK,
  O_WRONLY,
  S_IFIFO,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from '../../../abi/files.ts';
import {
  P9_DOTL_AT_REMOVEDIR,
  P9_DOTL_EXCL,
  P9_TLCREATE,
  P9_TLINK,
  P9_TMKDIR,
  P9_TMKNOD,
  P9_TRENAME,
  P9_TRENAMEAT,
  P9_TSYMLINK,
  P9_TUNLINKAT,
} from '../../../abi/ninep.ts';
import { EBADF, EBUSY, EEXIST, EINVAL, ENAMETOOLONG, ENOENT, EPERM, EROFS } from '../../../kvm/errno.ts';
import {
  addName,
  createFile,
  makeDirectory,
  makeLink,
  makeNode,
  removeName,
  renameAt,
  statusOf,
} from '../../../kvm/files.ts';
import { closeFd } from '../../../kvm/libc.ts';
import type { Place } from '../hostTree.ts';
import { ALLOWED_MODE } from './attributes.ts';
import { hostFlags, openFid } from './data.ts';
import { type Fid, type Handler, nameErrno, type NinepSession } from './session.ts';

const MOST_TARGET_BYTES = 4095;

/** The group that a client names for a new file is not ours to give: it has that of whoever runs the VM. */
export const CHANGES: Readonly<Record<number, Handler>> = {
  [P9_TLCREATE]: lcreate,
  [P9_TMKDIR]: mkdir,
  [P9_TSYMLINK]: symlink,
  [P9_TMKNOD]: mknod,
  [P9_TLINK]: link,
  [P9_TRENAME]: rename,
  [P9_TRENAMEAT]: renameat,
  [P9_TUNLINKAT]: unlinkat,
};

/** fid[4] name[s] flags[4] mode[4] gid[4]: qid[13] iounit[4]. The fid is the file's from then on. */
function lcreate(session: NinepSession): number {
  const { reader, writer } = session;
  const number = reader.u32();
  const name = reader.string();
  const flags = reader.u32();
  const mode = reader.u32();
  reader.u32(); // gid
  const fid = session.fid(number);
  const errno = refusal(session, fid, name);
  if (errno !== 0 || fid === undefined) return errno;
  if (fid.isOpen) return EBADF;
  const dirFd = session.tree.fdOf(fid.place);
  if (dirFd < 0) return -dirFd;
  // Only what is made here is opened without a look at what it is.
  const fd = createFile(dirFd, name, hostFlags(flags) | O_CREAT | O_EXCL | O_NONBLOCK, mode & ALLOWED_MODE);
  if (fd < 0 && (fd !== -EEXIST || (flags & P9_DOTL_EXCL) !== 0)) return -fd;
  const opened = becomeFile(session, number, fid, { name, fd, flags });
  if (opened !== 0) return opened;
  session.writeQid();
  writer.u32(0); // iounit
  return 0;
}

interface NewFile {
  readonly name: string;
  /** Negative: it was there already. */
  readonly fd: number;
  readonly flags: number;
}

function becomeFile(session: NinepSession, number: number, fid: Fid, { name, fd, flags }: NewFile): number {
  const { tree, status } = session;
  const found = tree.find(fid.place, name, status);
  if (typeof found === 'number') {
    if (fd >= 0) closeFd(fd);
    return -found;
  }
  tree.hold(found);
  session.dropFid(number);
  session.setFid(number, found); // there is room for it: it had been there
  const fresh = session.fid(number);
  if (fresh === undefined) return EBADF;
  if (fd < 0) return openFid(session, fresh, flags);
  session.setOpen(fresh, fd, { flags: hostFlags(flags), isDirectory: false });
  return -statusOf(fd, status);
}

/** dfid[4] name[s] mode[4] gid[4]: qid[13] */
function mkdir(session: NinepSession): number {
  const { reader } = session;
  const fid = session.fid(reader.u32());
  const name = reader.string();
  const mode = reader.u32();
  reader.u32(); // gid
  return make(session, fid, name, (dirFd) => makeDirectory(dirFd, name, mode & ALLOWED_MODE));
}

/** fid[4] name[s] symtgt[s] gid[4]: qid[13]. We never follow it, whatever it names. */
function symlink(session: NinepSession): number {
  const { reader } = session;
  const fid = session.fid(reader.u32());
  const name = reader.string();
  const target = reader.string();
  reader.u32(); // gid
  if (target.includes('\0')) return EINVAL;
  if (target.length > MOST_TARGET_BYTES) return ENAMETOOLONG;
  return make(session, fid, name, (dirFd) => makeLink(dirFd, name, target));
}

/** dfid[4] name[s] mode[4] major[4] minor[4] gid[4]: qid[13]. No devices: those would be the host's. */
function mknod(session: NinepSession): number {
  const { reader } = session;
  const fid = session.fid(reader.u32());
  const name = reader.string();
  const mode = reader.u32();
  reader.skip(12);
  const kind = mode & S_IFMT;
  if (kind !== S_IFREG && kind !== S_IFIFO && kind !== S_IFSOCK) return EPERM;
  const allowed = kind | (mode & ALLOWED_MODE);
  return make(session, fid, name, (dirFd) =>
    kind === S_IFREG ? makeEmptyFile(dirFd, name, allowed) : makeNode(dirFd, name, allowed),
  );
}

function makeEmptyFile(dirFd: number, name: string, mode: number): number {
  const fd = createFile(dirFd, name, O_CREAT | O_EXCL | O_WRONLY, mode & ALLOWED_MODE);
  if (fd >= 0) closeFd(fd);
  return Math.min(fd, 0);
}

/** dfid[4] fid[4] name[s] */
function link(session: NinepSession): number {
  const { reader, tree } = session;
  const directory = session.fid(reader.u32());
  const fid = session.fid(reader.u32());
  const name = reader.string();
  const errno = refusal(session, directory, name);
  if (errno !== 0 || directory === undefined) return errno;
  if (fid === undefined) return EBADF;
  const dirFd = tree.fdOf(directory.place);
  const fd = tree.fdOf(fid.place); // it does not close the other: see hostTree.ts
  if (dirFd < 0 || fd < 0) return -Math.min(dirFd, fd);
  return -addName(fd, dirFd, name);
}

/** fid[4] dfid[4] name[s] */
function rename(session: NinepSession): number {
  const { reader, tree } = session;
  const fid = session.fid(reader.u32());
  const directory = session.fid(reader.u32());
  const name = reader.string();
  const errno = refusal(session, directory, name);
  if (errno !== 0 || directory === undefined) return errno;
  if (fid === undefined) return EBADF;
  const { place } = fid;
  if (place === tree.root) return EBUSY;
  const looked = tree.named(place, session.status);
  if (looked < 0) return -looked;
  if (place.parent === undefined) return ENOENT;
  return move(session, place.parent, place.name, directory.place, name);
}

/** olddirfid[4] oldname[s] newdirfid[4] newname[s] */
function renameat(session: NinepSession): number {
  const { reader } = session;
  const from = session.fid(reader.u32());
  const oldName = reader.string();
  const to = session.fid(reader.u32());
  const newName = reader.string();
  const errno = refusal(session, from, oldName) || refusal(session, to, newName);
  if (errno !== 0 || from === undefined || to === undefined) return errno;
  return move(session, from.place, oldName, to.place, newName);
}

function move({ tree }: NinepSession, from: Place, oldName: string, to: Place, newName: string): number {
  const oldFd = tree.fdOf(from);
  const newFd = tree.fdOf(to); // see link
  if (oldFd < 0 || newFd < 0) return -Math.min(oldFd, newFd);
  tree.keep(to, newName);
  const result = renameAt(oldFd, oldName, newFd, newName);
  if (result === 0) tree.moved(from, oldName, to, newName);
  return -result;
}

/** dirfd[4] name[s] flags[4] */
function unlinkat(session: NinepSession): number {
  const { reader, tree } = session;
  const directory = session.fid(reader.u32());
  const name = reader.string();
  const flags = reader.u32();
  const errno = refusal(session, directory, name);
  if (errno !== 0 || directory === undefined) return errno;
  if ((flags & ~P9_DOTL_AT_REMOVEDIR) !== 0) return EINVAL;
  const dirFd = tree.fdOf(directory.place);
  if (dirFd < 0) return -dirFd;
  tree.keep(directory.place, name);
  const result = removeName(dirFd, name, flags === 0 ? 0 : AT_REMOVEDIR);
  if (result === 0) tree.removed(directory.place, name);
  return -result;
}

/** Makes it, and answers with its qid. */
function make(
  session: NinepSession,
  fid: Fid | undefined,
  name: string,
  it: (dirFd: number) => number,
): number {
  const { tree, status } = session;
  const errno = refusal(session, fid, name);
  if (errno !== 0 || fid === undefined) return errno;
  const dirFd = tree.fdOf(fid.place);
  if (dirFd < 0) return -dirFd;
  const result = it(dirFd);
  if (result < 0) return -result;
  const found = tree.find(fid.place, name, status);
  if (typeof found === 'number') return -found;
  tree.hold(found);
  session.writeQid();
  tree.release(found); // who wants it walks there
  return 0;
}

/** Why a name in a directory cannot be changed, when all fields are read; 0: it may be tried. */
function refusal({ reader, isReadOnly }: NinepSession, directory: Fid | undefined, name: string): number {
  if (!reader.isGood) return EINVAL;
  if (isReadOnly) return EROFS;
  if (directory === undefined) return EBADF;
  return nameErrno(name);
}

/** Messages about what is in a file: Tlopen, Tread, Twrite, Treaddir, Tfsync, Tlock, Tgetlock. */
import { O_APPEND, O_DSYNC, O_SYNC, O_TRUNC, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../../../abi/files.ts';
import {
  P9_DOTL_ACCMODE,
  P9_DOTL_RDONLY,
  P9_DOTL_TRUNC,
  P9_LOCK_SUCCESS,
  P9_LOCK_TYPE_UNLCK,
  P9_QTDIR,
  P9_QTFILE,
  P9_QTSYMLINK,
  P9_TFSYNC,
  P9_TGETLOCK,
  P9_TLOCK,
  P9_TLOPEN,
  P9_TREAD,
  P9_TREADDIR,
  P9_TWRITE,
} from '../../../abi/ninep.ts';
import { EBADF, EFBIG, EINTR, EINVAL, EISDIR, ENOTDIR, ENXIO, EROFS } from '../../../kvm/errno.ts';
import { readAt, syncData, writeAt } from '../../../kvm/fileIo.ts';
import { openDirectoryAt, openFileAt, readDirectory, seekDirectory, syncAll } from '../../../kvm/files.ts';
import type { Place } from '../hostTree.ts';
import { type Fid, type Handler, type NinepSession } from './session.ts';

/** What of a client's flags means something for a file of the host. */
const PASSED_FLAGS = P9_DOTL_ACCMODE | O_TRUNC | O_APPEND | O_DSYNC | O_SYNC;
/** struct linux_dirent64: d_ino[8] d_off[8] d_reclen[2] d_type[1] d_name. */
const DIRENT_OFF = 8;
const DIRENT_RECLEN = 16;
const DIRENT_TYPE = 18;
const DIRENT_NAME = 19;
/** Rreaddir's: qid[13] offset[8] type[1] name[s]. */
const ENTRY_BYTES = 24;
/** A type of a directory's entry is that of a mode (IFTODT). */
const TYPE_SHIFT = 12;
const entries = Buffer.alloc(32 * 1024);

export const DATA: Readonly<Record<number, Handler>> = {
  [P9_TLOPEN]: lopen,
  [P9_TREAD]: read,
  [P9_TWRITE]: write,
  [P9_TREADDIR]: readdir,
  [P9_TFSYNC]: fsync,
  [P9_TLOCK]: lock,
  [P9_TGETLOCK]: getlock,
};

function lopen(session: NinepSession): number {
  const { reader, writer } = session;
  const fid = session.fid(reader.u32());
  const flags = reader.u32();
  if (!reader.isGood) return EINVAL;
  if (fid === undefined || fid.isOpen) return EBADF;
  const errno = openFid(session, fid, flags);
  if (errno !== 0) return errno;
  session.writeQid();
  writer.u32(0); // iounit: as much as a message has room for
  return 0;
}

/**
 * A FIFO, a socket or a device is the guest's to open, as its own: the host's would have us wait, or answer
 * for it. `session.status` is the file's then.
 */
export function openFid(session: NinepSession, fid: Fid, flags: number): number {
  const { tree, status } = session;
  const isWrite = (flags & P9_DOTL_ACCMODE) !== P9_DOTL_RDONLY || (flags & P9_DOTL_TRUNC) !== 0;
  if (isWrite && session.isReadOnly) return EROFS;
  const looked = session.look(fid);
  if (looked < 0) return -looked;
  const place = tree.fdOf(fid.place);
  if (place < 0) return -place;
  const kind = status.mode & S_IFMT;
  if (kind === S_IFDIR && isWrite) return EISDIR;
  if (kind !== S_IFDIR && kind !== S_IFREG) return ENXIO;
  const fd = kind === S_IFDIR ? openDirectoryAt(place) : openFileAt(place, hostFlags(flags));
  if (fd < 0) return -fd;
  session.setOpen(fid, fd, { flags: hostFlags(flags), isDirectory: kind === S_IFDIR });
  return 0;
}

/** Linux's numbers of all that is passed are x86-64's own. */
export function hostFlags(flags: number): number {
  return flags & PASSED_FLAGS;
}

/** fid[4] offset[8] count[4]: count[4] data */
function read(session: NinepSession): number {
  const { reader, writer } = session;
  const fid = session.fid(reader.u32());
  const offset = reader.u64();
  const count = reader.u32();
  if (!reader.isGood) return EINVAL;
  if (fid?.isOpen !== true) return EBADF;
  if (fid.isDirectory) return EISDIR;
  const fd = session.fileOf(fid);
  if (fd < 0) return -fd;
  const countAt = writer.at;
  writer.u32(0);
  const length = Math.min(count, writer.roomBytes);
  if (!Number.isSafeInteger(offset + length)) return EINVAL;
  let result = readData(session, fd, offset, length);
  if (result === -EINTR) result = readData(session, fd, offset, length);
  if (result < 0) return -result;
  writer.setU32(countAt, result);
  writer.skip(result);
  session.readBytes += result;
  return 0;
}

function readData({ data, writer }: NinepSession, fd: number, offset: number, count: number): number {
  if (data !== undefined) return data.read(fd, offset, count);
  return readAt(fd, writer.bytes.subarray(writer.at, writer.at + count), offset);
}

/**
 * fid[4] offset[8] count[4] data: count[4]. Linux before 4.18 left the data of a large write out of the
 * message's size: what counts is what the driver has given.
 */
function write(session: NinepSession): number {
  const { reader, writer } = session;
  const fid = session.fid(reader.u32());
  const offset = reader.u64();
  const count = reader.u32();
  if (!reader.isGood || count > session.lengthBytes - reader.at) return EINVAL;
  if (session.isReadOnly) return EROFS;
  if (fid?.isOpen !== true) return EBADF;
  if (fid.isDirectory) return EISDIR;
  if (!Number.isSafeInteger(offset + count)) return EFBIG;
  const fd = session.fileOf(fid);
  if (fd < 0) return -fd;
  let result = writeData(session, fd, offset, count);
  if (result === -EINTR) result = writeData(session, fd, offset, count);
  if (result < 0) return -result;
  writer.u32(result);
  session.writtenBytes += result;
  return 0;
}

function writeData({ data, reader }: NinepSession, fd: number, offset: number, count: number): number {
  if (data !== undefined) return data.write(fd, offset, count);
  return writeAt(fd, reader.bytes.subarray(reader.at, reader.at + count), offset);
}

/**
 * fid[4] offset[8] count[4]: count[4] and entries, as many as fit. `offset` is that of the entry before, as
 * the host's file system has it.
 */
function readdir(session: NinepSession): number {
  const { reader, writer } = session;
  const fid = session.fid(reader.u32());
  const offset = reader.exactU64();
  const count = reader.u32();
  if (!reader.isGood) return EINVAL;
  if (fid?.isOpen !== true) return EBADF;
  if (!fid.isDirectory) return ENOTDIR;
  const fd = session.fileOf(fid);
  if (fd < 0) return -fd;
  const sought = seekDirectory(fd, BigInt.asIntN(64, offset));
  if (sought < 0) return -sought;
  const countAt = writer.at;
  writer.u32(0);
  const start = writer.at;
  const end = start + Math.min(count, writer.roomBytes);
  for (let isMore = true; isMore;) {
    const length = readDirectory(fd, entries);
    if (length < 0) return -length;
    isMore = length > 0;
    for (let at = 0; at < length; at += entries.readUInt16LE(at + DIRENT_RECLEN)) {
      if (writeEntry(session, fid.place, at, end)) continue;
      if (writer.at === start) return EINVAL; // not one fits, and none would mean the end
      isMore = false;
      break;
    }
  }
  writer.setU32(countAt, writer.at - start);
  return 0;
}

/** False: there is no room for it. */
function writeEntry(session: NinepSession, directory: Place, at: number, end: number): boolean {
  const { writer, tree } = session;
  const nameAt = at + DIRENT_NAME;
  const nameBytes = entries.indexOf(0, nameAt) - nameAt;
  if (end - writer.at < ENTRY_BYTES + nameBytes) return false;
  const type = entries.readUInt8(at + DIRENT_TYPE);
  // What is above the folder is not the guest's to know, not even by number.
  const isAbove =
    directory === tree.root && nameBytes === 2 && entries.toString('latin1', nameAt, nameAt + 2) === '..';
  writer.u8(qidTypeOf(type << TYPE_SHIFT));
  writer.u32(0);
  const low = isAbove ? directory.inoLow : entries.readUInt32LE(at);
  const high = isAbove ? directory.inoHigh : entries.readUInt32LE(at + 4);
  writer.u64(low, session.qidHigh(directory, high));
  writer.copy(entries, at + DIRENT_OFF, 8);
  writer.u8(type);
  writer.stringOf(entries, nameAt, nameBytes);
  return true;
}

function qidTypeOf(mode: number): number {
  return mode === S_IFDIR ? P9_QTDIR : mode === S_IFLNK ? P9_QTSYMLINK : P9_QTFILE;
}

function fsync(session: NinepSession): number {
  const { reader } = session;
  const fid = session.fid(reader.u32());
  if (!reader.isGood) return EINVAL;
  if (fid?.isOpen !== true) return EBADF;
  const isDataOnly = reader.u32() !== 0; // absent in the first clients: then all
  if (session.isReadOnly) return 0;
  const fd = session.fileOf(fid);
  if (fd < 0) return -fd;
  return -(reader.isGood && isDataOnly ? syncData(fd) : syncAll(fd));
}

/**
 * The guest is the folder's one client here, and its kernel knows its own locks, which it asks for first:
 * they are granted. Programs of the host do not see them.
 */
function lock(session: NinepSession): number {
  const { reader, writer } = session;
  const fid = session.fid(reader.u32());
  reader.u8(); // type
  reader.u32(); // flags
  reader.u64(); // start
  reader.u64(); // length
  reader.u32(); // proc_id
  reader.string(); // client_id
  if (!reader.isGood) return EINVAL;
  if (fid === undefined) return EBADF;
  writer.u8(P9_LOCK_SUCCESS);
  return 0;
}

/** Nobody has a lock that the guest does not know. */
function getlock(session: NinepSession): number {
  const { reader, writer } = session;
  const fid = session.fid(reader.u32());
  reader.u8(); // type
  const rangeAt = reader.at;
  reader.skip(16);
  const process = reader.u32();
  const client = reader.string();
  if (!reader.isGood) return EINVAL;
  if (fid === undefined) return EBADF;
  writer.u8(P9_LOCK_TYPE_UNLCK);
  writer.copy(reader.bytes, rangeAt, 16);
  writer.u32(process);
  writer.string(client);
  return 0;
}

/** Messages about what a file is: Tgetattr, Tsetattr, Tstatfs, Treadlink. */
import { S_IFLNK, S_IFMT, S_IFREG, Statfs, Statx, UTIME_NOW, UTIME_OMIT } from '../../../abi/files.ts';
import {
  P9_ATTR_ATIME,
  P9_ATTR_ATIME_SET,
  P9_ATTR_GID,
  P9_ATTR_MODE,
  P9_ATTR_MTIME,
  P9_ATTR_MTIME_SET,
  P9_ATTR_SIZE,
  P9_ATTR_UID,
  P9_STATS_BASIC,
  P9_TGETATTR,
  P9_TREADLINK,
  P9_TSETATTR,
  P9_TSTATFS,
  V9FS_MAGIC,
} from '../../../abi/ninep.ts';
import { EBADF, EFBIG, EINVAL, EISDIR, EOPNOTSUPP, EROFS } from '../../../kvm/errno.ts';
import { truncateTo } from '../../../kvm/fileIo.ts';
import {
  changeMode,
  changeOwner,
  changeSize,
  changeTimes,
  fileSystemOf,
  readLinkAt,
} from '../../../kvm/files.ts';
import { type Fid, type Handler, isDirectory, type NinepSession } from './session.ts';

/**
 * A file made through the share belongs to whoever runs the VM; one that runs as its owner would be a way for
 * the guest to become that user on the host.
 */
export const ALLOWED_MODE = 0o1777;
const MOST_LINK_BYTES = 4095;
const TIMESPEC_BYTES = 16;

export const ATTRIBUTES: Readonly<Record<number, Handler>> = {
  [P9_TGETATTR]: getattr,
  [P9_TSETATTR]: setattr,
  [P9_TSTATFS]: statfs,
  [P9_TREADLINK]: readlink,
};

function getattr(session: NinepSession): number {
  const { reader, writer, status } = session;
  const fid = session.fid(reader.u32());
  reader.u64(); // what is wanted: we have all of it
  if (!reader.isGood) return EINVAL;
  if (fid === undefined) return EBADF;
  const result = session.look(fid);
  if (result < 0) return -result;
  writer.u64(P9_STATS_BASIC);
  session.writeQid();
  writer.u32(status.mode);
  writer.u32(status.u32('stx_uid'));
  writer.u32(status.u32('stx_gid'));
  writer.u64(status.u32('stx_nlink'));
  writer.u64(deviceId(status.u32('stx_rdev_major'), status.u32('stx_rdev_minor')));
  copy(session, 'stx_size');
  writer.u64(status.u32('stx_blksize'));
  copy(session, 'stx_blocks');
  for (const time of ['stx_atime', 'stx_mtime', 'stx_ctime'] as const) {
    copy(session, time);
    writer.copy(status.bytes, Statx.fields[time].offset + 8, 4);
    writer.u32(0);
  }
  for (let i = 0; i < 4; i++) writer.u64(0); // btime, gen, data_version
  return 0;
}

function copy({ writer, status }: NinepSession, field: keyof typeof Statx.fields): void {
  writer.copy(status.bytes, Statx.fields[field].offset, 8);
}

/** As Linux's new_encode_dev, which the client decodes. */
function deviceId(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

interface Attributes {
  readonly valid: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Where in the request the times are. */
  readonly timesAt: number;
}

function setattr(session: NinepSession): number {
  const { reader } = session;
  const fid = session.fid(reader.u32());
  const wanted: Attributes = {
    valid: reader.u32(),
    mode: reader.u32(),
    uid: reader.u32(),
    gid: reader.u32(),
    size: reader.u64(),
    timesAt: reader.at,
  };
  reader.skip(2 * TIMESPEC_BYTES);
  if (!reader.isGood) return EINVAL;
  if (session.isReadOnly) return EROFS;
  if (fid === undefined) return EBADF;
  const looked = session.look(fid);
  if (looked < 0) return -looked;
  const fd = session.fdOf(fid);
  if (fd < 0) return -fd;
  return (
    setMode(session, fd, wanted) ||
    setOwner(fd, wanted) ||
    setSize(session, fid, fd, wanted) ||
    setTimes(session, fd, wanted)
  );
}

function setMode({ status }: NinepSession, fd: number, { valid, mode }: Attributes): number {
  if ((valid & P9_ATTR_MODE) === 0) return 0;
  if ((status.mode & S_IFMT) === S_IFLNK) return EOPNOTSUPP;
  return -changeMode(fd, mode & ALLOWED_MODE);
}

function setOwner(fd: number, { valid, uid, gid }: Attributes): number {
  if ((valid & (P9_ATTR_UID | P9_ATTR_GID)) === 0) return 0;
  return -changeOwner(fd, (valid & P9_ATTR_UID) === 0 ? -1 : uid, (valid & P9_ATTR_GID) === 0 ? -1 : gid);
}

function setSize({ status }: NinepSession, fid: Fid, fd: number, { valid, size }: Attributes): number {
  if ((valid & P9_ATTR_SIZE) === 0) return 0;
  if (isDirectory(status)) return EISDIR;
  if ((status.mode & S_IFMT) !== S_IFREG) return EINVAL;
  if (!Number.isSafeInteger(size)) return EFBIG;
  // A file that is open for writing stays so, whatever its mode says by now.
  const result = fid.isOpen ? truncateTo(fd, size) : -EINVAL;
  return result === 0 ? 0 : -changeSize(fd, size);
}

function setTimes({ reader }: NinepSession, fd: number, { valid, timesAt }: Attributes): number {
  if ((valid & (P9_ATTR_ATIME | P9_ATTR_MTIME)) === 0) return 0;
  const times = Buffer.from(reader.bytes.slice(timesAt, timesAt + 2 * TIMESPEC_BYTES));
  chooseTime(times, 0, (valid & P9_ATTR_ATIME) !== 0, (valid & P9_ATTR_ATIME_SET) !== 0);
  chooseTime(times, TIMESPEC_BYTES, (valid & P9_ATTR_MTIME) !== 0, (valid & P9_ATTR_MTIME_SET) !== 0);
  return -changeTimes(fd, times);
}

/** A time in the request is a struct timespec as it is, where it is to be set. */
function chooseTime(times: Buffer, at: number, isWanted: boolean, isGiven: boolean): void {
  if (isWanted && isGiven) return;
  times.writeBigInt64LE(BigInt(isWanted ? UTIME_NOW : UTIME_OMIT), at + 8);
}

function statfs(session: NinepSession): number {
  const { reader, writer } = session;
  const fid = session.fid(reader.u32());
  if (!reader.isGood) return EINVAL;
  if (fid === undefined) return EBADF;
  const fd = session.fdOf(fid);
  if (fd < 0) return -fd;
  const found = new Uint8Array(Statfs.size);
  const result = fileSystemOf(fd, found);
  if (result < 0) return -result;
  writer.u32(V9FS_MAGIC);
  writer.copy(found, Statfs.fields.f_bsize.offset, 4);
  for (const field of ['f_blocks', 'f_bfree', 'f_bavail', 'f_files', 'f_ffree', 'f_fsid'] as const)
    writer.copy(found, Statfs.fields[field].offset, 8);
  writer.copy(found, Statfs.fields.f_namelen.offset, 4);
  return 0;
}

function readlink(session: NinepSession): number {
  const { reader, writer, tree } = session;
  const fid = session.fid(reader.u32());
  if (!reader.isGood) return EINVAL;
  if (fid === undefined) return EBADF;
  const looked = session.look(fid);
  if (looked < 0) return -looked;
  if ((session.status.mode & S_IFMT) !== S_IFLNK) return EINVAL;
  const fd = tree.fdOf(fid.place);
  if (fd < 0) return -fd;
  const target = new Uint8Array(MOST_LINK_BYTES);
  const length = readLinkAt(fd, target);
  if (length < 0) return -length;
  writer.stringOf(target, 0, length);
  return 0;
}

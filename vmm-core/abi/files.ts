/** Files, as the kernel of an x86-64 host describes them. <linux/stat.h>, <asm/statfs.h>, <linux/fcntl.h>. */
import { struct, u16, u32, u64 } from './struct.ts';

/** struct statx, by the names there; times are seconds and, 8 further on, nanoseconds. */
export const Statx = struct('statx', 256, {
  stx_mask: u32(0),
  stx_blksize: u32(4),
  stx_nlink: u32(16),
  stx_uid: u32(20),
  stx_gid: u32(24),
  stx_mode: u16(28),
  stx_ino: u64(32),
  stx_size: u64(40),
  stx_blocks: u64(48),
  stx_atime: u64(64),
  stx_ctime: u64(96),
  stx_mtime: u64(112),
  stx_rdev_major: u32(128),
  stx_rdev_minor: u32(132),
  stx_dev_major: u32(136),
  stx_dev_minor: u32(140),
});
export const STATX_BASIC_STATS = 0x000007ff;

export const Statfs = struct('statfs', 120, {
  f_type: u64(0),
  f_bsize: u64(8),
  f_blocks: u64(16),
  f_bfree: u64(24),
  f_bavail: u64(32),
  f_files: u64(40),
  f_ffree: u64(48),
  f_fsid: u64(56),
  f_namelen: u64(64),
});

export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFDIR = 0o040000;
export const S_IFIFO = 0o010000;

export const O_RDONLY = 0o0;
export const O_WRONLY = 0o1;
export const O_RDWR = 0o2;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_NOCTTY = 0o400;
export const O_TRUNC = 0o1000;
export const O_APPEND = 0o2000;
export const O_NONBLOCK = 0o4000;
export const O_DSYNC = 0o10000;
export const O_DIRECTORY = 0o200000;
export const O_NOFOLLOW = 0o400000;
export const O_CLOEXEC = 0o2000000;
export const O_SYNC = 0o4010000;
export const O_PATH = 0o10000000;

export const AT_FDCWD = -100;
export const AT_SYMLINK_NOFOLLOW = 0x100;
export const AT_REMOVEDIR = 0x200;
export const AT_SYMLINK_FOLLOW = 0x400;
export const AT_EMPTY_PATH = 0x1000;

/** Of utimensat(2), in place of nanoseconds. <linux/stat.h> does not have them, <sys/stat.h> does. */
export const UTIME_NOW = 0x3fffffff;
export const UTIME_OMIT = 0x3ffffffe;

/**
 * 9P2000.L, the dialect of Linux's client: the protocol of diod's protocol.md, spelled as Linux's
 * <net/9p/9p.h> spells it, which is not among the headers that programs get. Messages are
 * size[4] type[1] tag[2], then what the type says; numbers are little-endian, a string is n[2] and n bytes.
 */

// Virtio: the device has no section in virtio 1.2. <linux/virtio_9p.h>.
export const VIRTIO_9P_MOUNT_TAG = 0;
/** struct virtio_9p_config: tag_len, then the tag without a NUL. */
export const VIRTIO_9P_CONFIG_TAG = 2;

// Types of requests; an answer has the next number.
export const P9_TLERROR = 6; // only its answer exists
export const P9_TSTATFS = 8;
export const P9_TLOPEN = 12;
export const P9_TLCREATE = 14;
export const P9_TSYMLINK = 16;
export const P9_TMKNOD = 18;
export const P9_TRENAME = 20;
export const P9_TREADLINK = 22;
export const P9_TGETATTR = 24;
export const P9_TSETATTR = 26;
export const P9_TXATTRWALK = 30;
export const P9_TXATTRCREATE = 32;
export const P9_TREADDIR = 40;
export const P9_TFSYNC = 50;
export const P9_TLOCK = 52;
export const P9_TGETLOCK = 54;
export const P9_TLINK = 70;
export const P9_TMKDIR = 72;
export const P9_TRENAMEAT = 74;
export const P9_TUNLINKAT = 76;
export const P9_TVERSION = 100;
export const P9_TAUTH = 102;
export const P9_TATTACH = 104;
export const P9_TFLUSH = 108;
export const P9_TWALK = 110;
export const P9_TREAD = 116;
export const P9_TWRITE = 118;
export const P9_TCLUNK = 120;
export const P9_TREMOVE = 122;

export const P9_NOTAG = 0xffff;
export const P9_NOFID = 0xffff_ffff;
/** Names in one walk. */
export const P9_MAXWELEM = 16;
/** size[4] type[1] tag[2]. */
export const P9_HDRSZ = 7;
/** Rread and Rreaddir: the header and count[4]. Rlerror has as many. */
export const P9_READ_HEADER = 11;
/** Twrite: the header, fid[4] offset[8] count[4]. */
export const P9_WRITE_HEADER = 23;
/** qid: type[1] version[4] path[8]. */
export const P9_QID_BYTES = 13;

// Types of a qid.
export const P9_QTDIR = 0x80;
export const P9_QTSYMLINK = 0x02;
export const P9_QTFILE = 0x00;

// Tlopen and Tlcreate: flags.
export const P9_DOTL_ACCMODE = 0o3;
export const P9_DOTL_RDONLY = 0o0;
export const P9_DOTL_WRONLY = 0o1;
export const P9_DOTL_RDWR = 0o2;
export const P9_DOTL_EXCL = 0o200;
export const P9_DOTL_TRUNC = 0o1000;
export const P9_DOTL_APPEND = 0o2000;
export const P9_DOTL_DSYNC = 0o10000;
export const P9_DOTL_DIRECTORY = 0o200000;
export const P9_DOTL_SYNC = 0o4000000;

// Tunlinkat: flags.
export const P9_DOTL_AT_REMOVEDIR = 0x200;

/** Rgetattr: mode to blocks, which is all that we know. */
export const P9_STATS_BASIC = 0x7ff;

// Tsetattr: which of its fields count.
export const P9_ATTR_MODE = 1 << 0;
export const P9_ATTR_UID = 1 << 1;
export const P9_ATTR_GID = 1 << 2;
export const P9_ATTR_SIZE = 1 << 3;
export const P9_ATTR_ATIME = 1 << 4;
export const P9_ATTR_MTIME = 1 << 5;
export const P9_ATTR_ATIME_SET = 1 << 7;
export const P9_ATTR_MTIME_SET = 1 << 8;

// Tlock and Tgetlock.
export const P9_LOCK_TYPE_UNLCK = 2;
export const P9_LOCK_SUCCESS = 0;

/** Rstatfs: the type of the file system. */
export const V9FS_MAGIC = 0x0102_1997;

/** Sockets, as <sys/socket.h>, <sys/un.h> and <linux/sockios.h> spell them. socket(7), unix(7), cmsg(3). */
import { s32, struct, u16, u32, u64, u8 } from './struct.ts';

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;

export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_SEQPACKET = 5;
export const SOCK_NONBLOCK = 0o4000; // or'd to the type, as SOCK_CLOEXEC
export const SOCK_CLOEXEC = 0o2000000;

export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_TYPE = 3;
export const SO_ERROR = 4;
export const SO_BROADCAST = 6;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_KEEPALIVE = 9;
export const SO_LINGER = 13;
export const SO_REUSEPORT = 15;
export const SO_PEERCRED = 17;

export const SHUT_RD = 0;
export const SHUT_WR = 1;
export const SHUT_RDWR = 2;

export const MSG_OOB = 0x01;
export const MSG_PEEK = 0x02;
export const MSG_CTRUNC = 0x08;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_ERRQUEUE = 0x2000; // what could not be sent (ip(7), IP_RECVERR)
export const MSG_NOSIGNAL = 0x4000;
export const MSG_MORE = 0x8000;
export const MSG_CMSG_CLOEXEC = 0x4000_0000;

/** Of SO_LINGER: to wait zero seconds means to break off. */
export const Linger = struct('linger', 8, { l_onoff: s32(0), l_linger: s32(4) });

/** Control messages of SOL_SOCKET. */
export const SCM_RIGHTS = 1;

/** Bytes that are not sent, or not acknowledged: an ioctl. */
export const SIOCOUTQ = 0x5411;

/** struct msghdr: offsets, for one that is written by hand. */
export const MSGHDR = {
  msg_name: 0,
  msg_namelen: 8,
  msg_iov: 16,
  msg_iovlen: 24,
  msg_control: 32,
  msg_controllen: 40,
  msg_flags: 48,
} as const;
export const MSGHDR_BYTES = 56;

/** Its data follows, and each begins at a multiple of 8. */
export const Cmsghdr = struct('cmsghdr', 16, { cmsg_len: u64(0), cmsg_level: s32(8), cmsg_type: s32(12) });

/** Of MSG_ERRQUEUE: what the control message IP_RECVERR or IPV6_RECVERR has (<linux/errqueue.h>). */
export const SockExtendedErr = struct('sock_extended_err', 16, {
  ee_errno: u32(0),
  ee_origin: u8(4),
  ee_type: u8(5),
  ee_code: u8(6),
  ee_info: u32(8), // of EMSGSIZE: the MTU
});
export const SO_EE_ORIGIN_LOCAL = 1; // it did not leave this host

/** What SO_PEERCRED tells. */
export const Ucred = struct('ucred', 12, { pid: s32(0), uid: u32(4), gid: u32(8) });

export const SockaddrUn = struct('sockaddr_un', 110, { sun_family: u16(0) });
/** Where the path begins, and how much room it has. */
export const SOCKADDR_UN_PATH = 2;
export const SOCKADDR_UN_PATH_BYTES = 108;
/** Enough for any address. */
export const SOCKADDR_STORAGE_BYTES = 128;

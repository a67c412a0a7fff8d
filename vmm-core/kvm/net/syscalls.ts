/**
 * The system calls of sockets, taps and epoll, through koffi. Results are as the kernel gives them, -errno
 * for errors; EINTR is gone on from. Safety, of all here: numbers are addresses in shared memories that
 * the caller keeps alive, which never move; typed arrays koffi pins for the call, and the kernel keeps none.
 */
import { EINTR } from '../errno.ts';
import { injectedFaults, type IoCall, underFaults } from '../io/faults.ts';
import { libcCall, resultOf } from '../koffi.ts';

const libcSocket = libcCall('int socket(int domain, int type, int protocol)');
const libcSocketpair = libcCall('int socketpair(int domain, int type, int protocol, void *fds)');
const libcBind = libcCall('int bind(int fd, void *address, unsigned int length)');
const libcConnect = libcCall('int connect(int fd, void *address, unsigned int length)');
const libcListen = libcCall('int listen(int fd, int backlog)');
const libcAccept = libcCall('int accept4(int fd, void *address, void *length, int flags)');
const libcGetsockname = libcCall('int getsockname(int fd, void *address, void *length)');
const libcGetpeername = libcCall('int getpeername(int fd, void *address, void *length)');
const libcShutdown = libcCall('int shutdown(int fd, int how)');
const libcGetsockopt = libcCall('int getsockopt(int fd, int level, int name, void *value, void *length)');
const libcSetsockopt = libcCall(
  'int setsockopt(int fd, int level, int name, void *value, unsigned int length)',
);
const libcSendmsg = libcCall('long sendmsg(int fd, uintptr_t message, int flags)');
const libcRecvmsg = libcCall('long recvmsg(int fd, uintptr_t message, int flags)');
const libcWritev = libcCall('long writev(int fd, uintptr_t iov, int count)');
const libcReadv = libcCall('long readv(int fd, uintptr_t iov, int count)');
const libcEpollCreate = libcCall('int epoll_create1(int flags)');
const libcEpollCtl = libcCall('int epoll_ctl(int epfd, int operation, int fd, uintptr_t event)');
const libcEpollWait = libcCall('int epoll_wait(int epfd, uintptr_t events, int maxevents, int timeout)');
const libcMemfdCreate = libcCall('int memfd_create(const char *name, unsigned int flags)');
const libcFtruncate = libcCall('int ftruncate(int fd, int64_t length)');
const libcLseek = libcCall('int64_t lseek(int fd, int64_t offset, int whence)');
const libcFcntl = libcCall('int fcntl(int fd, int command, long value)');

/** A test may interrupt a call for ever. */
const MAX_TRIES = 64;

export function socket(family: number, type: number, protocol: number): number {
  return asked('socket', -1, () => libcSocket(family, type, protocol));
}

export function socketpair(family: number, type: number, fds: Int32Array): number {
  return asked('socket', -1, () => libcSocketpair(family, type, 0, fds));
}

export function bind(fd: number, address: Uint8Array): number {
  return asked('bind', fd, () => libcBind(fd, address, address.length));
}

export function connect(fd: number, address: Uint8Array): number {
  return asked('connect', fd, () => libcConnect(fd, address, address.length));
}

export function listen(fd: number, backlog: number): number {
  return asked('listen', fd, () => libcListen(fd, backlog));
}

export function accept4(fd: number, flags: number): number {
  return asked('accept', fd, () => libcAccept(fd, null, null, flags));
}

/** The length of what is in `address` then, or -errno. */
export function getsockname(fd: number, address: Uint8Array): number {
  const length = Uint32Array.of(address.length);
  const result = resultOf(libcGetsockname(fd, address, length));
  return result < 0 ? result : (length[0] ?? 0);
}

/** See getsockname. */
export function getpeername(fd: number, address: Uint8Array): number {
  const length = Uint32Array.of(address.length);
  const result = resultOf(libcGetpeername(fd, address, length));
  return result < 0 ? result : (length[0] ?? 0);
}

export function shutdown(fd: number, how: number): number {
  return resultOf(libcShutdown(fd, how));
}

export function getsockopt(fd: number, level: number, name: number, value: Uint8Array): number {
  return resultOf(libcGetsockopt(fd, level, name, value, Uint32Array.of(value.length)));
}

export function setsockopt(fd: number, level: number, name: number, value: Uint8Array): number {
  return resultOf(libcSetsockopt(fd, level, name, value, value.length));
}

/** `message`: the address of a struct msghdr. */
export function sendmsg(fd: number, message: number, flags: number): number {
  return resultOf(libcSendmsg(fd, message, flags));
}

export function recvmsg(fd: number, message: number, flags: number): number {
  return resultOf(libcRecvmsg(fd, message, flags));
}

/** `iovecs`: the address of so many. */
export function writev(fd: number, iovecs: number, count: number): number {
  return resultOf(libcWritev(fd, iovecs, count));
}

export function readv(fd: number, iovecs: number, count: number): number {
  return resultOf(libcReadv(fd, iovecs, count));
}

export function epollCreate(flags: number): number {
  return resultOf(libcEpollCreate(flags));
}

/** `event`: the address of a struct epoll_event. */
export function epollCtl(epollFd: number, operation: number, fd: number, event: number): number {
  return resultOf(libcEpollCtl(epollFd, operation, fd, event));
}

/** Does not wait. `events`: the address of so many. How many of them there are, or -errno. */
export function epollTake(epollFd: number, events: number, count: number): number {
  return resultOf(libcEpollWait(epollFd, events, count, 0));
}

export function memfdCreate(name: string, flags: number): number {
  return resultOf(libcMemfdCreate(name, flags));
}

export function ftruncate(fd: number, lengthBytes: number): number {
  return resultOf(libcFtruncate(fd, lengthBytes));
}

/** The file's size, or -errno. Moves its offset to the end. */
export function seekEnd(fd: number): number {
  return resultOf(libcLseek(fd, 0, SEEK_END));
}

export function fcntl(fd: number, command: number, value = 0): number {
  return resultOf(libcFcntl(fd, command, value));
}

const SEEK_END = 2; // <unistd.h>

/** A call that is not in the hot path, under faults or not. */
function asked(call: IoCall, fd: number, perform: () => number | bigint): number {
  return retried(call, fd, 0, () => resultOf(perform()));
}

/**
 * A call that tests may stand before. `perform` is given how many bytes of it are to be done. Interrupted
 * calls are done again.
 */
export function retried(
  call: IoCall,
  fd: number,
  lengthBytes: number,
  perform: (lengthBytes: number) => number,
): number {
  let result = -EINTR;
  for (let tries = 0; result === -EINTR && tries < MAX_TRIES; tries++) {
    const faults = injectedFaults();
    result =
      faults === undefined
        ? perform(lengthBytes)
        : underFaults(faults, { call, fd, offset: 0, lengthBytes }, perform);
  }
  return result;
}

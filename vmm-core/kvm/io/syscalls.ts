/**
 * The system calls of the engines, through koffi. Addresses are plain numbers (iovecTable.ts). Results are as
 * the kernel gives them, -errno for errors. Safety, of all here: addresses are those of shared memories that
 * the engine keeps alive, which never move.
 */
import { IoUringParams, SYS_io_uring_enter, SYS_io_uring_setup } from '../../abi/ioUring.ts';
import { libcCall, resultOf } from '../koffi.ts';

// syscall is variadic in C; the x86-64 ABI passes integer and pointer arguments alike.
const libcSetup = libcCall('long syscall(long number, unsigned int entries, void *params)');
const libcEnter = libcCall(
  'long syscall(long number, int fd, unsigned int to_submit, unsigned int min_complete, unsigned int flags,' +
    ' uintptr_t arg, size_t argsz)',
);
const libcPreadv = libcCall('long preadv(int fd, uintptr_t iov, int iovcnt, int64_t offset)');
const libcPwritev = libcCall('long pwritev(int fd, uintptr_t iov, int iovcnt, int64_t offset)');
const libcPread = libcCall('long pread(int fd, uintptr_t buffer, size_t count, int64_t offset)');
const libcPwrite = libcCall('long pwrite(int fd, uintptr_t buffer, size_t count, int64_t offset)');
const libcFdatasync = libcCall('int fdatasync(int fd)');
const libcFallocate = libcCall('int fallocate(int fd, int mode, int64_t offset, int64_t length)');
const libcPoll = libcCall('int poll(uintptr_t fds, unsigned long nfds, int timeout)');
const libcRead = libcCall('long read(int fd, uintptr_t buffer, size_t count)');
const libcCopy = libcCall('void memcpy(uintptr_t to, uintptr_t from, size_t count)');
const libcMemcpy = libcCall('void memcpy(void *to, uintptr_t from, size_t count)');

/** `params` is a struct io_uring_params, which the kernel fills in. */
export function ioUringSetup(entries: number, params: Uint8Array): number {
  if (params.length < IoUringParams.size) throw new RangeError('not a struct io_uring_params');
  return resultOf(libcSetup(SYS_io_uring_setup, entries, params));
}

export function ioUringEnter(
  fd: number,
  toSubmit: number,
  minComplete: number,
  flags: number,
  argument: number,
  argumentBytes: number,
): number {
  return resultOf(libcEnter(SYS_io_uring_enter, fd, toSubmit, minComplete, flags, argument, argumentBytes));
}

/** `iovecs`: the address of so many. */
export function readVector(fd: number, iovecs: number, count: number, offset: number): number {
  return resultOf(libcPreadv(fd, iovecs, count, offset));
}

export function writeVector(fd: number, iovecs: number, count: number, offset: number): number {
  return resultOf(libcPwritev(fd, iovecs, count, offset));
}

export function readHost(fd: number, address: number, lengthBytes: number, offset: number): number {
  return resultOf(libcPread(fd, address, lengthBytes, offset));
}

export function writeHost(fd: number, address: number, lengthBytes: number, offset: number): number {
  return resultOf(libcPwrite(fd, address, lengthBytes, offset));
}

export function syncFile(fd: number): number {
  return resultOf(libcFdatasync(fd));
}

/** `mode`: FALLOC_FL_… */
export function allocateFile(fd: number, mode: number, offset: number, lengthBytes: number): number {
  return resultOf(libcFallocate(fd, mode, offset, lengthBytes));
}

/** `fds`: the address of so many struct pollfd. */
export function poll(fds: number, count: number, timeoutMs: number): number {
  return resultOf(libcPoll(fds, count, timeoutMs));
}

/** Takes an eventfd's eight bytes, to `address`. */
export function takeEvents(eventFd: number, address: number): number {
  return resultOf(libcRead(eventFd, address, 8));
}

/** Safety: both were checked to be inside memory that lives on (IovecTable, IoBuffer), and do not overlap. */
export function copyInHost(to: number, from: number, lengthBytes: number): void {
  libcCopy(to, from, lengthBytes);
}

export function copyFromHost(address: number, into: Uint8Array): void {
  libcMemcpy(into, address, into.length);
}

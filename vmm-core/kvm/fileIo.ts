/**
 * File I/O on the calling thread: metadata of disk images, and commands that convert them. Results are bytes
 * or 0, or -errno; a transfer may be short.
 */
import { read } from 'node:fs';
import { ENXIO } from './errno.ts';
import { injectedFaults, underFaults } from './io/faults.ts';
import { allocateFile, syncFile } from './io/syscalls.ts';
import { libcCall, resultOf } from './koffi.ts';

const libcPread = libcCall('long pread(int fd, void *buffer, size_t count, int64_t offset)');
const libcPwrite = libcCall('long pwrite(int fd, void *buffer, size_t count, int64_t offset)');
const libcFtruncate = libcCall('int ftruncate(int fd, int64_t length)');

const libcLseek = libcCall('int64_t lseek(int fd, int64_t offset, int whence)');

const SEEK_DATA = 3; // <linux/fs.h>
const SEEK_HOLE = 4;

export const FALLOC_FL_KEEP_SIZE = 0x01; // <linux/falloc.h>
export const FALLOC_FL_PUNCH_HOLE = 0x02;
export const FALLOC_FL_ZERO_RANGE = 0x10;

/** Safety, of all here: koffi pins the buffer for the call, and the kernel keeps no pointer to it. */
export function readAt(fd: number, into: Uint8Array, offset: number): number {
  const faults = injectedFaults();
  if (faults === undefined) return resultOf(libcPread(fd, into, into.length, offset));
  return underFaults(faults, { call: 'read', fd, offset, lengthBytes: into.length }, (count) =>
    resultOf(libcPread(fd, into, count, offset)),
  );
}

/** By a thread of node's pool. 0 for whatever failed: `readAt` tells what. */
export function readAhead(fd: number, into: Uint8Array, offset: number): Promise<number> {
  if (injectedFaults() !== undefined) return Promise.resolve(Math.max(readAt(fd, into, offset), 0));
  return new Promise((resolve) => {
    read(fd, into, 0, into.length, offset, (error, count) => resolve(error === null ? count : 0));
  });
}

/** Where in the file the next data begins, from `offset` on; Infinity where only a hole follows. */
export function nextData(fd: number, offset: number): number {
  const result = resultOf(libcLseek(fd, offset, SEEK_DATA));
  if (result === -ENXIO) return Infinity;
  return result < 0 ? offset : result; // a file system that cannot tell
}

/** Where the data that is at `offset` ends; Infinity where the file system cannot tell. */
export function nextHole(fd: number, offset: number): number {
  const result = resultOf(libcLseek(fd, offset, SEEK_HOLE));
  return result < 0 ? Infinity : result;
}

export function writeAt(fd: number, bytes: Uint8Array, offset: number): number {
  const faults = injectedFaults();
  if (faults === undefined) return resultOf(libcPwrite(fd, bytes, bytes.length, offset));
  const request = {
    call: 'write',
    fd,
    offset,
    lengthBytes: bytes.length,
    bytes: () => bytes.slice(),
  } as const;
  return underFaults(faults, request, (count) => resultOf(libcPwrite(fd, bytes, count, offset)));
}

export function syncData(fd: number): number {
  const faults = injectedFaults();
  if (faults === undefined) return syncFile(fd);
  return underFaults(faults, { call: 'sync', fd, offset: 0, lengthBytes: 0 }, () => syncFile(fd));
}

/** `mode`: FALLOC_FL_… */
export function allocateRange(fd: number, mode: number, offset: number, lengthBytes: number): number {
  const faults = injectedFaults();
  if (faults === undefined) return allocateFile(fd, mode, offset, lengthBytes);
  return underFaults(faults, { call: 'fallocate', fd, offset, lengthBytes, mode }, () =>
    allocateFile(fd, mode, offset, lengthBytes),
  );
}

export function truncateTo(fd: number, lengthBytes: number): number {
  const faults = injectedFaults();
  if (faults === undefined) return resultOf(libcFtruncate(fd, lengthBytes));
  return underFaults(faults, { call: 'truncate', fd, offset: lengthBytes, lengthBytes: 0 }, () =>
    resultOf(libcFtruncate(fd, lengthBytes)),
  );
}

/**
 * File I/O on the calling thread: metadata of disk images, and commands that convert them. Results are bytes
 * or 0, or -errno; a transfer may be short.
 */
import { injectedFaults, underFaults } from './io/faults.ts';
import { allocateFile, syncFile } from './io/syscalls.ts';
import { koffi } from './koffi.ts';

const libc = koffi.load(null);
type Transfer = (fd: number, buffer: Uint8Array, count: number, offset: number) => number | bigint;
const libcPread = libc.func(
  'long pread(int fd, void *buffer, size_t count, int64_t offset)',
) as unknown as Transfer;
const libcPwrite = libc.func(
  'long pwrite(int fd, void *buffer, size_t count, int64_t offset)',
) as unknown as Transfer;
const libcFtruncate = libc.func('int ftruncate(int fd, int64_t length)') as unknown as (
  fd: number,
  lengthBytes: number,
) => number;

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

function resultOf(result: number | bigint): number {
  return result < 0 ? -koffi.errno() : Number(result);
}

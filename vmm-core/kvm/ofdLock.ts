/**
 * Open file description locks (fcntl(2), F_OFD_SETLK) on bytes of a file: they belong to the open file, not
 * to the process, and end with it.
 */
import { libcCall, resultOf } from './koffi.ts';

const libcFcntl = libcCall('int fcntl(int fd, int command, void *lock)');

const F_OFD_GETLK = 36; // <linux/fcntl.h>
const F_OFD_SETLK = 37;
const F_RDLCK = 0; // <asm-generic/fcntl.h>
const F_WRLCK = 1;
const F_UNLCK = 2;

// struct flock
const FLOCK_BYTES = 32;
const L_TYPE = 0; // s16
const L_START = 8; // s64
const L_LEN = 16; // s64

/** A shared lock on one byte. 0, or -errno: -EAGAIN when another has it for itself. */
export function lockByte(fd: number, offset: number): number {
  const lock = byteLock(F_RDLCK, offset);
  return call(fd, F_OFD_SETLK, lock);
}

/** Whether another open file has a lock on this byte; -errno where locks do not work. */
export function isByteLocked(fd: number, offset: number): boolean | number {
  const lock = byteLock(F_WRLCK, offset);
  const result = call(fd, F_OFD_GETLK, lock);
  return result < 0 ? result : new DataView(lock.buffer).getInt16(L_TYPE, true) !== F_UNLCK;
}

function byteLock(type: number, offset: number): Uint8Array {
  const lock = new Uint8Array(FLOCK_BYTES);
  const view = new DataView(lock.buffer);
  view.setInt16(L_TYPE, type, true);
  view.setBigInt64(L_START, BigInt(offset), true);
  view.setBigInt64(L_LEN, 1n, true);
  return lock;
}

/** Safety: the kernel reads and writes the struct during the call only. */
function call(fd: number, command: number, lock: Uint8Array): number {
  return Math.min(resultOf(libcFcntl(fd, command, lock)), 0);
}

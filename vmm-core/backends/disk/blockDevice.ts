/** What the kernel tells of a block device that an image is on. */
import { tryIoctlStruct } from '../../kvm/libc.ts';
import { ioError } from './diskError.ts';

const BLKROGET = 0x125e; // <linux/fs.h>
const BLKGETSIZE64 = 0x80081272;

/** Throws DiskError. */
export function deviceBytes(fd: number, path: string): number {
  const size = new BigUint64Array(1);
  const result = tryIoctlStruct(fd, BLKGETSIZE64, size);
  if (result < 0) throw ioError(path, 'BLKGETSIZE64', -result);
  return Number(size[0]);
}

/** Opening it to write succeeds all the same; only what is written fails. */
export function isReadOnlyDevice(fd: number): boolean {
  const answer = new Int32Array(1);
  return tryIoctlStruct(fd, BLKROGET, answer) >= 0 && answer[0] !== 0;
}

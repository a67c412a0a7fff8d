/**
 * A lock against two writers of one image, on the bytes that QEMU locks (its block/file-posix.c): whoever has
 * a permission holds byte 100 + its number, whoever does not let others have it holds byte 200 + its number,
 * and both look at the other's byte.
 */
import { isByteLocked, lockByte } from '../../kvm/ofdLock.ts';

const PERMISSION_BASE = 100;
const UNSHARED_BASE = 200;
/** BLK_PERM_…, as bit numbers (QEMU's block-common.h). */
const CONSISTENT_READ = 0;
const WRITE = 1;
const RESIZE = 3;
const UNSHARED = [WRITE, RESIZE];

export interface ImageUse {
  readonly isReadOnly: boolean;
}

/**
 * Until the descriptor is closed. False: another holds it in a way that does not go with this one. Where the
 * file system has no such locks, there are none.
 */
export function lockImage(fd: number, { isReadOnly }: ImageUse): boolean {
  const permissions = isReadOnly ? [CONSISTENT_READ] : [CONSISTENT_READ, WRITE, RESIZE];
  const own = [...permissions.map((it) => PERMISSION_BASE + it), ...UNSHARED.map((it) => UNSHARED_BASE + it)];
  const others = [
    ...permissions.map((it) => UNSHARED_BASE + it),
    ...UNSHARED.map((it) => PERMISSION_BASE + it),
  ];
  for (const offset of own) lockByte(fd, offset);
  return !others.some((offset) => isByteLocked(fd, offset) === true);
}

/**
 * A lock against two writers of one image, on the bytes that QEMU locks (its block/file-posix.c): whoever has
 * a permission holds byte 100 + its number, whoever does not let others have it holds byte 200 + its number,
 * and both look at the other's byte.
 */
import { poll } from '../../kvm/io/syscalls.ts';
import { isByteLocked, lockByte } from '../../kvm/ofdLock.ts';

const PERMISSION_BASE = 100;
const UNSHARED_BASE = 200;
/** BLK_PERM_…, as bit numbers (QEMU's block-common.h). */
const CONSISTENT_READ = 0;
const WRITE = 1;
const RESIZE = 3;
const UNSHARED = [WRITE, RESIZE];

/**
 * A process that was killed keeps its files until the kernel has ended its last requests to io_uring, which
 * is a little later than its parent hears of its end.
 */
const LOOKS = 25;
const BETWEEN_LOOKS_MS = 10;

export interface ImageUse {
  readonly isReadOnly: boolean;
}

/**
 * Until the descriptor is closed. False: another holds it in a way that does not go with this one, and has
 * for a quarter of a second. Where the file system has no such locks, there are none.
 */
export function lockImage(
  fd: number,
  { isReadOnly }: ImageUse,
  rest = (): unknown => poll(0, 0, BETWEEN_LOOKS_MS),
): boolean {
  const permissions = isReadOnly ? [CONSISTENT_READ] : [CONSISTENT_READ, WRITE, RESIZE];
  const own = [...permissions.map((it) => PERMISSION_BASE + it), ...UNSHARED.map((it) => UNSHARED_BASE + it)];
  const others = [
    ...permissions.map((it) => UNSHARED_BASE + it),
    ...UNSHARED.map((it) => PERMISSION_BASE + it),
  ];
  for (const offset of own) lockByte(fd, offset);
  for (let look = 1; others.some((offset) => isByteLocked(fd, offset) === true); look++) {
    if (look === LOOKS) return false;
    rest();
  }
  return true;
}

/** What goes wrong with an image after it was opened. */
import { errnoText } from '../../errors.ts';
import { EIO } from '../../kvm/errno.ts';

/** The host's disk failed, or the image is broken. `message` is a sentence for the user. */
export class DiskError extends Error {
  readonly errno: number;

  constructor(message: string, errno: number) {
    super(message);
    this.errno = errno;
    this.name = 'DiskError';
  }
}

/** `call`: "read", "write". */
export function ioError(path: string, call: string, errno: number): DiskError {
  return new DiskError(`${path}: ${call} failed: ${errnoText(errno)}`, errno);
}

/** `what`: "the L2 table at 0x10000 is not aligned". */
export function corruptError(path: string, what: string): DiskError {
  return new DiskError(`${path} is corrupt: ${what}; "vmm check ${path}" lists all that is wrong`, EIO);
}

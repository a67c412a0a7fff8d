/** What goes wrong with an image after it was opened. */
import { quoted } from '../../client/regularFile.ts';
import { errnoText } from '../../errors.ts';
import { EIO, ENOSPC } from '../../kvm/errno.ts';

/** The host's disk failed, or the image is broken. `message` is a sentence for the user. */
export class DiskError extends Error {
  readonly errno: number;
  /** What the host refused: "read", "write"; undefined: it was not asked. */
  readonly call: string | undefined;

  constructor(message: string, errno: number, call?: string) {
    super(message);
    this.errno = errno;
    this.call = call;
    this.name = 'DiskError';
  }
}

/** The image itself is broken. */
export class CorruptError extends DiskError {
  /** "its L1 table is beyond the end of the file". */
  readonly what: string;

  constructor(path: string, what: string) {
    super(`${quoted(path)} is corrupt: ${what}; "vmm check" lists all that is wrong`, EIO);
    this.what = what;
    this.name = 'CorruptError';
  }
}

/** `call`: "read", "write". */
export function ioError(path: string, call: string, errno: number): DiskError {
  const cure = errno === ENOSPC ? ': make room for it' : '';
  return new DiskError(`${quoted(path)}: ${call} failed: ${errnoText(errno)}${cure}`, errno, call);
}

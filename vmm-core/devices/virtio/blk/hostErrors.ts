/**
 * What the host refuses a disk, told to the user once for each kind: the guest may try again as often as it
 * likes, and has its own way to say that a request failed.
 */
import { constants } from 'node:os';
import type { DiskError } from '../../../backends/disk/diskError.ts';
import { errnoText } from '../../../errors.ts';

const { EIO, ENOSPC, EDQUOT, EFBIG, EROFS, EINVAL, EBADF, ENODATA } = constants.errno;

const CURES: Readonly<Record<number, string>> = {
  [ENOSPC]: 'free some space and let the guest try again',
  [EDQUOT]: 'raise the quota, or free some space, and let the guest try again',
  [EFBIG]: 'the file system or "ulimit -f" allows no larger file: use another',
  [EROFS]: 'make the file system writable, or the disk "readonly"',
  [EIO]: "look into the host's kernel log, and copy what can be read from the disk",
  [EINVAL]: 'if the disk has the cache mode "none", try "writeback": the file system may lack O_DIRECT',
  [EBADF]: 'this is a bug; please report it',
};

/** The host refused nothing: there was nothing to read (requestTable.ts). */
const CUT =
  'has become shorter than its disk while the VM uses it, and the guest gets errors for what is missing: end the VM and restore the image';

/** A broken image may be so in as many places as the guest finds. */
const MOST_KINDS = 16;

export class HostErrors {
  readonly #tell: (message: string) => void;
  readonly #told = new Set<string>();

  constructor(tell: (message: string) => void) {
    this.#tell = tell;
  }

  /** `call`: "read", "write". */
  ofCall(call: string, errno: number, path: string): void {
    if (!this.#isNew(kindOf(call, errno))) return;
    const quoted = JSON.stringify(path); // one line, whatever is in the name
    if (errno === ENODATA) return this.#tell(`${quoted} ${CUT}`);
    const cure = CURES[errno] ?? 'the guest has got an error and may try again';
    this.#tell(`cannot ${call} ${quoted}: ${errnoText(errno)}; ${cure}`);
  }

  /** What the image itself met: the host may refuse its metadata what it refuses the guest's data. */
  ofImage({ call, errno, message }: DiskError): void {
    if (this.#isNew(call === undefined ? message : kindOf(call, errno))) this.#tell(message);
  }

  #isNew(key: string): boolean {
    if (this.#told.has(key) || this.#told.size >= MOST_KINDS) return false;
    this.#told.add(key);
    return true;
  }
}

function kindOf(call: string, errno: number): string {
  return `${call} ${errno}`;
}

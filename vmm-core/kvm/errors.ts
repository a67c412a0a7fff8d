/** A system call or ioctl that the host refused. Blame: host. */
import { getSystemErrorMap } from 'node:util';

/** The libc errno values we tell apart. */
export const EINTR = 4;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EACCES = 13;
export const EBUSY = 16;

/** "ENOENT (no such file or directory)" for 2. */
export function errnoText(errno: number): string {
  const [name, text] = getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, 'unknown error'];
  return `${name} (${text})`;
}

export class KvmError extends Error {
  /** The ioctl or call, as the header spells it. */
  readonly call: string;
  readonly errno: number;

  constructor(call: string, errno: number) {
    super(`${call} failed: ${errnoText(errno)}`);
    this.call = call;
    this.errno = errno;
    this.name = 'KvmError';
  }
}

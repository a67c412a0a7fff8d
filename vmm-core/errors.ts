/**
 * Errors by blame (style.md): `UserError` is shown as it is and says what to do; so are StateError, BootError
 * (boot/) and KvmUnavailableError. KvmError is the host's, GuestAddressError (memory/) the guest's. Anything
 * else is a bug and ends the process with its stack.
 */
import { getSystemErrorMap } from 'node:util';

export class UserError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'UserError';
  }
}

/** What a client asks for needs another state of the VM. */
export class StateError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'StateError';
  }
}

/** KVM cannot be used on this host. `message` says why and what to do. */
export class KvmUnavailableError extends Error {
  readonly kind: 'missing' | 'denied' | 'version' | 'other';

  constructor(kind: KvmUnavailableError['kind'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
    this.name = 'KvmUnavailableError';
  }
}

/** "ENOENT (no such file or directory)" for 2. */
export function errnoText(errno: number): string {
  const [name, text] = getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, 'unknown error'];
  return `${name} (${text})`;
}

/** A system call or ioctl that the host refused. */
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

/**
 * Errors by blame (style.md): `UserError` is shown as it is and says what to do. Others of the kind are BootError (boot/), KvmUnavailableError
 * and KvmError (kvm/), GuestAddressError (memory/). Anything else is a bug and ends the process with its stack.
 */
export class UserError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'UserError';
  }
}

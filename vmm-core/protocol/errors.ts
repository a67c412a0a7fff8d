/** Our JSON-RPC error codes, outside the range that JSON-RPC reserves. `message` is for the user. */
export const ErrorCode = {
  /** The user's configuration or request cannot be served; the message says what to do. */
  User: 1,
  /** The host refused (KVM, files, memory). */
  Host: 2,
  VersionMismatch: 3,
  /** The VM is in the wrong state for the request: no VM yet, running, ended. */
  State: 4,
  /** An address is not mapped or not RAM. */
  Address: 5,
} as const;

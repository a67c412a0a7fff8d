/**
 * Errors the user is meant to read: one sentence that says what is wrong and what to do. Shown by the editor.
 */

/** `id` is stable: tests and other editors may rely on it (DAP Message.id). */
export class UserError extends Error {
  readonly id: UserErrorId;

  constructor(id: UserErrorId, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'UserError';
    this.id = id;
  }
}

/** DAP message ids. A silent error (see `SILENT`) is an answer the editor shows in place, not in a dialog. */
export const USER_ERROR = {
  launchArguments: 1001,
  host: 1002,
  noVm: 1003,
  vmRunning: 1004,
  vmGone: 1005,
  symbols: 1006,
  /** The client asked for something that is not a request here, or at the wrong time. */
  request: 1007,
  limit: 1008,
  badValue: 2001,
  badReference: 2002,
  expression: 2003,
  memory: 2004,
  unsupported: 2005,
  stale: 2006,
} as const;
export type UserErrorId = (typeof USER_ERROR)[keyof typeof USER_ERROR];

/** Ids that the editor shows where the request came from (watch, hover, memory view), not in a dialog. */
const SILENT: ReadonlySet<number> = new Set([
  USER_ERROR.vmRunning,
  USER_ERROR.vmGone,
  USER_ERROR.badReference,
  USER_ERROR.expression,
  USER_ERROR.memory,
  USER_ERROR.stale,
  USER_ERROR.request,
  USER_ERROR.limit,
]);

export function isShown(id: number): boolean {
  return !SILENT.has(id);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The memory balloon of a VM, by which the guest gives memory back to the host. A VM without one refuses. */
import { RequestType, RequestType0 } from 'vscode-jsonrpc';

export interface BalloonReport {
  /** How much of its memory the guest shall do without. */
  readonly targetBytes: number;
  /** How much it does. */
  readonly actualBytes: number;
  /** What it has reported free, and the host has got back, since the VM began; it may be the same twice. */
  readonly reportedBytes: number;
  /** The guest has a driver for it. */
  readonly isReady: boolean;
  /** What the driver says of its memory, by name, in bytes and numbers; as of before when it is stopped. */
  readonly statistics: Readonly<Record<string, number>>;
}

/** Resolves when the guest is asked; `balloonStats` tells how far it is. */
export const balloonSetTarget = new RequestType<{ readonly sizeBytes: number }, void, void>(
  'balloon/setTarget',
);
export const balloonStats = new RequestType0<BalloonReport, void>('balloon/stats');

/** The disks of a VM, changed while the guest runs. `disk` counts from 0, the CD-ROM is the last. */
import { RequestType, RequestType0 } from 'vscode-jsonrpc';

export interface DiskReport {
  /** Absolute. */
  readonly path: string;
  readonly sizeBytes: number;
}

export const listDisks = new RequestType0<readonly DiskReport[], void>('disks/list');

/** It grows. Resolves when the guest has been told. */
export const resizeDisk = new RequestType<{ readonly disk: number; readonly sizeBytes: number }, void, void>(
  'disks/resize',
);

/**
 * Another file is in the drive, by an absolute path; its options stay, its format is that of its name.
 * Resolves when the guest has been told.
 */
export const changeDisk = new RequestType<{ readonly disk: number; readonly path: string }, void, void>(
  'disks/change',
);

/** The temporary file that takes the writes of a disk in snapshot mode. Without a name, it ends with us. */
import { closeSync, constants, openSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileErrorText } from '../../client/regularFile.ts';
import { UserError } from '../../errors.ts';
import { HostFile } from './imageFile.ts';
import { DEFAULT_FORMAT, formatQcow2 } from './qcow2/formatQcow2.ts';

const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY; // <asm-generic/fcntl.h>

export interface Overlay {
  readonly fd: number;
  readonly path: string;
}

/** An empty qcow2 image. Which image it is over is for whoever opens both to say. */
export function createOverlay(sizeBytes: number): Overlay {
  const folder = tmpdir();
  const fd = openUnnamed(folder);
  const path = `the temporary file in ${folder}`;
  try {
    const file = new HostFile({ fd, path, alignmentBytes: 1, isUnsafe: true });
    formatQcow2(file, { ...DEFAULT_FORMAT, sizeBytes });
    return { fd, path };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function openUnnamed(folder: string): number {
  try {
    return openSync(folder, O_TMPFILE | constants.O_RDWR | constants.O_EXCL, 0o600);
  } catch (cause) {
    throw new UserError(
      `cannot make a temporary file in ${folder} for a disk in snapshot mode: ${fileErrorText(cause)}; set TMPDIR to another folder`,
      { cause },
    );
  }
}

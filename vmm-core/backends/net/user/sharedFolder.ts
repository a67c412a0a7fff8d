/**
 * A folder of the host whose files a guest may read: by TFTP and by HTTP. What a guest names never leads out
 * of it, by `..` nor by a symbolic link. Main thread; nothing here waits for a disk.
 */
import { statSync } from 'node:fs';
import { readlink, realpath } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { fileErrorText, openRegularFileAsync, quoted } from '../../../client/regularFile.ts';
import { UserError } from '../../../errors.ts';

export interface SharedFile {
  readonly handle: FileHandle;
  readonly sizeBytes: number;
  readonly mtimeMs: number;
}

/** The guest named what it must not see. */
export class OutsideError extends Error {}

export class SharedFolder {
  readonly path: string;

  /** Throws UserError. `what`: "the TFTP folder". */
  constructor(path: string, what: string) {
    this.path = path;
    let isDirectory: boolean;
    try {
      isDirectory = statSync(path).isDirectory();
    } catch (cause) {
      throw new UserError(`cannot use ${quoted(path)} as ${what}: ${fileErrorText(cause)}`, { cause });
    }
    if (!isDirectory) throw new UserError(`cannot use ${quoted(path)} as ${what}: it is not a directory`);
  }

  /**
   * Where a name of the guest's is: below the folder as it is now, links resolved. Rejects with OutsideError
   * and the errors of node:fs.
   */
  async resolve(name: string): Promise<string> {
    if (name.includes('\0')) throw new OutsideError('a name with a NUL character');
    const root = await realpath(this.path);
    const path = await realpath(join(root, join('/', name.replaceAll('\\', '/'))));
    if (!isInside(path, root)) throw new OutsideError('outside the folder');
    return path;
  }

  /** The handle is the caller's to close. Rejects as `resolve`, and with NotAFileError. */
  async open(name: string): Promise<SharedFile> {
    const root = await realpath(this.path);
    const { handle, stat } = await openRegularFileAsync(await this.resolve(name));
    try {
      // A link may have been put into the path meanwhile: what counts is what was opened.
      const opened = await readlink(`/proc/self/fd/${handle.fd}`);
      if (!isInside(opened, root)) throw new OutsideError('outside the folder');
      return { handle, sizeBytes: stat.size, mtimeMs: stat.mtimeMs };
    } catch (error) {
      await handle.close();
      throw error;
    }
  }
}

function isInside(path: string, root: string): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : root + sep);
}

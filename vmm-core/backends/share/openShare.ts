/** The folder of a share, open for the thread that serves it. */
import { accessSync, constants, type Stats, statSync } from 'node:fs';
import type { ShareConfig } from '../../config/settings/shares.ts';
import { fileErrorText } from '../../client/regularFile.ts';
import { errnoText, UserError } from '../../errors.ts';
import { openFolder } from '../../kvm/files.ts';
import { closeFd } from '../../kvm/libc.ts';

/** Plain data: it goes to another thread. Who owns it closes it (closeShare). */
export interface OpenedShare {
  readonly rootFd: number;
  readonly isReadOnly: boolean;
}

/** Throws UserError. */
export function openShare({ path, readonly: isReadOnly = true }: ShareConfig): OpenedShare {
  const name = JSON.stringify(path);
  const stats = statOf(path);
  if (stats === undefined)
    throw new UserError(`${name}, which is to be shared, is not there: make the folder`);
  if (!stats.isDirectory())
    throw new UserError(`${name} cannot be shared: it is no folder; name the folder that it is in`);
  const need = constants.R_OK | constants.X_OK | (isReadOnly ? 0 : constants.W_OK);
  try {
    accessSync(path, need);
  } catch (error) {
    const how = isReadOnly ? 'read' : 'write';
    throw new UserError(`you may not ${how} ${name}, which is to be shared: change its permissions`, {
      cause: error,
    });
  }
  const rootFd = openFolder(path);
  if (rootFd < 0) throw new UserError(`cannot open ${name}, which is to be shared: ${errnoText(-rootFd)}`);
  return { rootFd, isReadOnly };
}

/** Throws UserError: it may be there, and somebody else's. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (cause) {
    const why = fileErrorText(cause);
    throw new UserError(`cannot look at ${JSON.stringify(path)}, which is to be shared: ${why}`, { cause });
  }
}

export function closeShare({ rootFd }: OpenedShare): void {
  closeFd(rootFd);
}

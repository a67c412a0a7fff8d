/** Requests of protocol/disks.ts: disks, changed while the guest runs. */
import { isAbsolute } from 'node:path';
import { UserError } from '../../errors.ts';
import { changeDisk, listDisks, resizeDisk } from '../../protocol/disks.ts';
import type { Session } from '../session.ts';
import { fields, integer, shown } from './decode.ts';
import type { RequestTable } from './table.ts';

export function serveDisks(on: RequestTable, session: Session): void {
  on.request0(listDisks, () => session.disks().map(({ path, sizeBytes }) => ({ path, sizeBytes })));
  on.request(resizeDisk, resizeParams, ({ disk, sizeBytes }) => session.resizeDisk(disk, sizeBytes));
  on.request(changeDisk, changeParams, ({ disk, path }) => session.changeDisk(disk, path));
}

export function resizeParams(params: unknown): { readonly disk: number; readonly sizeBytes: number } {
  const it = fields(params);
  return { disk: integer(it, 'disk'), sizeBytes: integer(it, 'sizeBytes') };
}

export function changeParams(params: unknown): { readonly disk: number; readonly path: string } {
  const it = fields(params);
  const { path } = it;
  if (typeof path !== 'string' || !isAbsolute(path) || path.includes('\0'))
    throw new UserError(`path must be an absolute path, not ${shown(path)}`);
  return { disk: integer(it, 'disk'), path };
}

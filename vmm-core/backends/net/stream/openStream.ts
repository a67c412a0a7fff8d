/** Main's side of a link over a stream socket: says where it is. The link connects by itself. */
import { parseAddress } from '../../../bus/socketAddress.ts';
import type { NetworkConfig } from '../../../config/settings/networkOptions.ts';
import { UserError } from '../../../errors.ts';
import type { LinkBackend } from '../linkKind.ts';
import type { StreamOpened } from './streamLink.ts';

/** A path that sockaddr_un has room for, with its NUL. */
const MAX_PATH_BYTES = 107;

/** Throws UserError. */
export function open({ kind, socket }: NetworkConfig): LinkBackend {
  if (socket === undefined)
    throw new UserError(`a network of kind "${kind}" needs a socket: a path, or ADDRESS:PORT`);
  const address = parseAddress(socket);
  if (address === undefined)
    throw new UserError(
      `"${socket}" is no socket: give the path of a unix socket with a slash in it, or ADDRESS:PORT with a number for the address`,
    );
  if (address.family === 'unix' && Buffer.byteLength(address.path) > MAX_PATH_BYTES)
    throw new UserError(`the path of the socket "${socket}" is longer than ${MAX_PATH_BYTES} bytes`);
  const opened: StreamOpened = { address };
  return { opened, wiredTo: socket, close: () => undefined };
}

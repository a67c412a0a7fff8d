/**
 * Turns our errors into JSON-RPC errors with code and sentence. Anything unknown here is a bug: logged with
 * its stack.
 */
import { ErrorCodes, ResponseError } from 'vscode-jsonrpc/node';
import { BootError } from '../../boot/bootError.ts';
import { RuntimeDirError } from '../../client/runtimeDir.ts';
import { KvmError, KvmUnavailableError, StateError, UserError } from '../../errors.ts';
import { log } from '../../log.ts';
import { GuestAddressError } from '../../memory/guestMemory.ts';
import { ErrorCode } from '../../protocol/errors.ts';

export function toResponseError(error: unknown): ResponseError<void> {
  if (error instanceof ResponseError) return error as ResponseError<void>;
  const message = error instanceof Error ? error.message : String(error);
  const code = codeOf(error);
  if (code !== undefined) return new ResponseError<void>(code, message);
  log.error('control', 'request failed', {
    stack: error instanceof Error ? (error.stack ?? message) : message,
  });
  return new ResponseError<void>(ErrorCodes.InternalError, `internal error: ${message}`);
}

function codeOf(error: unknown): number | undefined {
  if ([UserError, BootError, RuntimeDirError].some((kind) => error instanceof kind)) return ErrorCode.User;
  if (error instanceof KvmUnavailableError || error instanceof KvmError) return ErrorCode.Host;
  if (error instanceof StateError) return ErrorCode.State;
  if (error instanceof GuestAddressError) return ErrorCode.Address;
  return undefined;
}

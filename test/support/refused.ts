/** What a VM answers that refuses a request. */
import { ResponseError } from 'vscode-jsonrpc/node';
import { ErrorCode } from '../../vmm-core/protocol/errors.ts';

export function refused(code: keyof typeof ErrorCode, message: string): ResponseError<void> {
  return new ResponseError<void>(ErrorCode[code], message);
}

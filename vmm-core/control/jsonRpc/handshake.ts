/** The first request of every connection: who the client is, and whether it speaks our version. */
import { ResponseError } from 'vscode-jsonrpc/node';
import { ErrorCode } from '../../protocol/errors.ts';
import { PROTOCOL_VERSION } from '../../protocol/version.ts';
import { version } from '../../version.ts';
import { fields, shortened, shown } from './decode.ts';

export interface Greeting {
  readonly client: string;
  readonly debugger: boolean;
}

/** Throws UserError, or the response error for a client of another version. */
export function greetingParams(params: unknown): Greeting {
  const it = fields(params);
  const theirs = it['protocolVersion'];
  if (theirs !== PROTOCOL_VERSION) throw versionMismatch(theirs);
  const client = typeof it['client'] === 'string' ? shortened(it['client']) : 'unknown';
  return { client, debugger: it['debugger'] === true };
}

function versionMismatch(theirs: unknown): ResponseError<void> {
  return new ResponseError<void>(
    ErrorCode.VersionMismatch,
    `this VM (Trapframe ${version()}) speaks protocol version ${PROTOCOL_VERSION}, the client ${shown(theirs)}: ` +
      'use the same version of Trapframe for both',
  );
}

/** What the editor shows in the box at the stopped line after a triple fault or an error of the VM. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import { isFatal, STOP } from '../../vmm-core/protocol/stopCause.ts';
import { USER_ERROR, UserError } from '../errors.ts';
import type { SessionState } from '../session/sessionState.ts';

export function exceptionInfo(state: SessionState): DebugProtocol.ExceptionInfoResponse['body'] {
  const stop = state.stop.event;
  if (stop === undefined || !isFatal(stop.cause.kind)) {
    throw new UserError(USER_ERROR.request, 'the VM did not stop at an exception');
  }
  const exceptionId = stop.cause.kind === STOP.tripleFault ? 'Triple fault' : 'VM error';
  const { message, details } = stop;
  return {
    exceptionId,
    breakMode: 'always',
    ...(message === undefined ? {} : { description: message }),
    details: {
      typeName: exceptionId,
      ...(message === undefined ? {} : { message }),
      ...(details === undefined ? {} : { stackTrace: details }),
    },
  };
}

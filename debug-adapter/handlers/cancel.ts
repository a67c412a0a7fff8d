/** `cancel`: of the work behind a progress, or of a request. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { RequestCall } from '../dapConnection.ts';
import type { SessionState } from '../session/sessionState.ts';

/** Requests that are quick are over by now, and get their answer. */
export function cancel(
  state: SessionState,
  { progressId, requestId }: DebugProtocol.CancelArguments,
  call: RequestCall,
): void {
  if (progressId !== undefined) state.cancellable.cancel(progressId);
  if (requestId !== undefined) call.cancel(requestId);
}

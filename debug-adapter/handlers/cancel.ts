/** `cancel`: ends the work behind a progress, or a request. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { RequestCall } from '../dapConnection.ts';
import type { SessionState } from '../session/sessionState.ts';

/** Quick requests are over by now, and get their answer. */
export function cancel(
  state: SessionState,
  { progressId, requestId }: DebugProtocol.CancelArguments,
  call: RequestCall,
): void {
  if (progressId !== undefined) state.cancellable.cancel(progressId);
  if (requestId !== undefined) call.cancel(requestId);
}

/** `setExpression`: sets a watch by its expression. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import { USER_ERROR, UserError } from '../errors.ts';
import { asBadValue, assignInProgram } from '../evaluation/assignAt.ts';
import { formatOf, showValue } from '../rows/valueRows.ts';
import type { SessionState } from '../session/sessionState.ts';

export async function setExpression(
  state: SessionState,
  { expression, value, frameId, format }: DebugProtocol.SetExpressionArguments,
): Promise<DebugProtocol.SetExpressionResponse['body']> {
  if (frameId === undefined)
    throw new UserError(USER_ERROR.badValue, 'a frame is needed to set an expression');
  const shown = state.stop.frame(frameId);
  const written = await asBadValue(() => assignInProgram(state, `${expression} = ${value}`, shown));
  if (written === undefined)
    throw new UserError(USER_ERROR.badValue, `${expression} is not described by the program's symbols`);
  return showValue(state, written, shown, formatOf(format));
}

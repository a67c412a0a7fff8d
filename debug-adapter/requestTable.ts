/** The requests of a debug session, as a table of contents. Handlers get the session's state; there is no logic here. */
import type { RequestCall, RequestTable } from './dapConnection.ts';
import {
  breakpointLocations,
  type ExceptionBreakpoints,
  refusedExceptionBreakpoints,
  setBreakpoints,
  setFunctionBreakpoints,
  setInstructionBreakpoints,
} from './handlers/breakpoints.ts';
import { disassemble } from './handlers/disassemble.ts';
import { setExpression } from './handlers/assignments.ts';
import { completions } from './handlers/completions.ts';
import { evaluate } from './handlers/evaluate.ts';
import { exceptionInfo } from './handlers/exceptionInfo.ts';
import { continueVm, next, pause, stepIn, stepOut } from './handlers/execution.ts';
import {
  attach,
  configurationDone,
  disconnect,
  initialize,
  launch,
  restart,
  terminate,
} from './handlers/lifecycle.ts';
import { readMemory, writeMemory } from './handlers/memory.ts';
import { stackTrace, threads } from './handlers/stack.ts';
import { cancel } from './session/progress.ts';
import { scopes, setVariable, variables } from './handlers/variables.ts';
import { USER_ERROR, UserError } from './errors.ts';
import { decodeArguments } from './requestArguments.ts';
import type { SessionState } from './session/sessionState.ts';

/** A handler as the handlers' files write it: state first. */
type StatefulHandler = (state: SessionState, ...rest: never[]) => unknown;

const HANDLERS = {
  initialize,
  launch,
  attach,
  configurationDone: (state, _args: object, call) => configurationDone(state, call),
  restart,
  terminate,
  disconnect,

  setBreakpoints,
  setFunctionBreakpoints,
  setInstructionBreakpoints,
  setExceptionBreakpoints: (_state, args: ExceptionBreakpoints) => refusedExceptionBreakpoints(args),
  breakpointLocations,

  cancel,

  continue: continueVm,
  pause,
  next,
  stepIn,
  stepOut,

  threads,
  stackTrace,
  scopes,
  variables,
  setVariable,
  setExpression,
  evaluate,
  completions,
  exceptionInfo,

  readMemory,
  writeMemory,
  disassemble,
} satisfies Readonly<Record<string, StatefulHandler>>;

export function requestTable(state: SessionState): RequestTable {
  return Object.fromEntries(
    Object.entries(HANDLERS).map(([command, handler]) => [
      command,
      (args: unknown, call: RequestCall) => {
        admit(state, command);
        return (handler as AnyHandler)(state, decodeArguments(command, args), call);
      },
    ]),
  );
}

type AnyHandler = (state: SessionState, args: object, call: RequestCall) => unknown;

/** Throws UserError for a request out of its time. */
function admit(state: SessionState, command: string): void {
  if (command === 'initialize' || command === 'disconnect') return;
  if (!state.initialized)
    throw new UserError(USER_ERROR.request, `${command} before initialize: that comes first`);
  if (state.left !== undefined)
    throw new UserError(USER_ERROR.request, `${command} after disconnect: the session is over`);
}

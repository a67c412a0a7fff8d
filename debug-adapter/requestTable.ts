/**
 * The requests of a debug session, as a table of contents. Handlers get the session's state; there is no
 * logic here.
 */
import type { RequestCall, RequestTable } from './dapConnection.ts';
import { USER_ERROR, UserError } from './errors.ts';
import {
  breakpointLocations,
  setBreakpoints,
  setExceptionBreakpoints,
  setFunctionBreakpoints,
  setInstructionBreakpoints,
} from './handlers/breakpoints.ts';
import { cancel } from './handlers/cancel.ts';
import { completions } from './handlers/completions.ts';
import { disassemble } from './handlers/disassemble.ts';
import { evaluate } from './handlers/evaluate.ts';
import { exceptionInfo } from './handlers/exceptionInfo.ts';
import { continueVm, next, pause, stepIn, stepOut } from './handlers/execution.ts';
import { initialize } from './handlers/initialize.ts';
import { attach, configurationDone, launch } from './handlers/launch.ts';
import { readMemory, writeMemory } from './handlers/memory.ts';
import { restart } from './handlers/restart.ts';
import { setExpression } from './handlers/setExpression.ts';
import { setVariable } from './handlers/setVariable.ts';
import { stackTrace, threads } from './handlers/stack.ts';
import { disconnect, terminate } from './handlers/terminate.ts';
import { scopes, variables } from './handlers/variables.ts';
import { type Command, decodeArguments, type RequestArguments } from './requestArguments.ts';
import type { SessionState } from './session/sessionState.ts';

/** A handler as the handlers' files write it: the session first. What it returns is the response's body. */
type Handler<C extends Command> = (
  state: SessionState,
  args: RequestArguments[C],
  call: RequestCall,
) => unknown;

const HANDLERS: { readonly [C in Command]: Handler<C> } = {
  initialize,
  launch,
  attach,
  configurationDone,
  restart,
  terminate,
  disconnect,

  setBreakpoints,
  setFunctionBreakpoints,
  setInstructionBreakpoints,
  setExceptionBreakpoints,
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
};

export function requestTable(state: SessionState): RequestTable {
  return Object.fromEntries(
    Object.keys(HANDLERS)
      .filter(isCommand)
      .map((command) => [command, (args: unknown, call: RequestCall) => answer(state, command, args, call)]),
  );
}

function isCommand(name: string): name is Command {
  return Object.hasOwn(HANDLERS, name);
}

function answer<C extends Command>(
  state: SessionState,
  command: C,
  args: unknown,
  call: RequestCall,
): unknown {
  admit(state, command);
  return HANDLERS[command](state, decodeArguments(command, args), call);
}

/** Throws UserError for a request at the wrong time. */
function admit(state: SessionState, command: Command): void {
  if (command === 'initialize' || command === 'disconnect') return;
  if (state.phase === 'connected')
    throw new UserError(USER_ERROR.request, `${command} before initialize: that comes first`);
  if (state.left !== undefined)
    throw new UserError(USER_ERROR.request, `${command} after disconnect: the session is over`);
}

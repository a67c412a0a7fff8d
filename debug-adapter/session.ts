/** The requests of a debug session, as a table of contents. Handlers get the session's state; there is no logic here. */
import type { RequestTable } from './dapConnection.ts';
import {
  breakpointLocations,
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
import { cancel } from './handlers/progress.ts';
import { scopes, setVariable, variables } from './handlers/variables.ts';
import type { SessionState } from './sessionState.ts';

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
  // Clients of older DAP versions send it although no filter is advertised.
  setExceptionBreakpoints: () => ({ breakpoints: [] }),
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
      (handler as (state: SessionState, ...rest: unknown[]) => unknown).bind(undefined, state),
    ]),
  );
}

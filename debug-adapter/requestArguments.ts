/**
 * The arguments of every request, in DAP's own types, and how they are checked before a handler sees them: a
 * client's mistake is answered with a sentence. What `launch` and `attach` mean is in launchArguments.ts.
 */
import type { DebugProtocol } from '@vscode/debugprotocol';
import {
  type Decode,
  type Fields,
  fields,
  flag,
  list,
  shape,
  textUpTo,
  whole,
  word,
} from './argumentDecoders.ts';

export interface RequestArguments {
  initialize: ClientDescription;
  launch: Fields;
  attach: Fields;
  configurationDone: DebugProtocol.ConfigurationDoneArguments;
  restart: { arguments?: Fields };
  terminate: DebugProtocol.TerminateArguments;
  disconnect: DebugProtocol.DisconnectArguments;

  setBreakpoints: DebugProtocol.SetBreakpointsArguments;
  setFunctionBreakpoints: DebugProtocol.SetFunctionBreakpointsArguments;
  setInstructionBreakpoints: DebugProtocol.SetInstructionBreakpointsArguments;
  setExceptionBreakpoints: { filters?: string[]; filterOptions?: object[] };
  breakpointLocations: DebugProtocol.BreakpointLocationsArguments;

  cancel: DebugProtocol.CancelArguments;

  continue: DebugProtocol.ContinueArguments;
  pause: Partial<DebugProtocol.PauseArguments>;
  next: DebugProtocol.NextArguments;
  stepIn: DebugProtocol.StepInArguments;
  stepOut: DebugProtocol.StepOutArguments;

  threads: object;
  stackTrace: DebugProtocol.StackTraceArguments;
  scopes: DebugProtocol.ScopesArguments;
  variables: DebugProtocol.VariablesArguments;
  setVariable: DebugProtocol.SetVariableArguments;
  setExpression: DebugProtocol.SetExpressionArguments;
  evaluate: DebugProtocol.EvaluateArguments;
  completions: DebugProtocol.CompletionsArguments;
  exceptionInfo: Partial<DebugProtocol.ExceptionInfoArguments>;

  readMemory: DebugProtocol.ReadMemoryArguments;
  writeMemory: DebugProtocol.WriteMemoryArguments;
  disassemble: DebugProtocol.DisassembleArguments;
}

export type Command = keyof RequestArguments;

/** What the editor says it can do; some say less than DAP requires. */
export type ClientDescription = Partial<DebugProtocol.InitializeRequestArguments>;

const MAX_INT32 = 2 ** 31 - 1;
/** No program is written in lines longer than this; keeps the parsers' work bounded. */
const MAX_TEXT = 65_536;

const text = textUpTo(MAX_TEXT);
/** Lines, columns, counts of list entries, references. */
const count = whole(0, MAX_INT32);
/** An offset in bytes, possibly backwards. */
const offset = whole(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
const amount = whole(0, Number.MAX_SAFE_INTEGER);
const format = shape({ 'hex?': flag });
const source = shape({ 'path?': text, 'name?': text });
const conditions = { 'condition?': text, 'hitCondition?': text, 'mode?': text };
const granularity = word(['statement', 'line', 'instruction']);
const step = shape({ threadId: count, 'singleThread?': flag, 'granularity?': granularity });
const thread = shape({ threadId: count });

const DECODERS: { readonly [C in Command]: Decode<RequestArguments[C]> } = {
  initialize: shape({
    'linesStartAt1?': flag,
    'columnsStartAt1?': flag,
    'supportsInvalidatedEvent?': flag,
    'supportsMemoryEvent?': flag,
    'supportsProgressReporting?': flag,
  }),
  launch: fields,
  attach: fields,
  configurationDone: fields,
  restart: shape({ 'arguments?': fields }),
  terminate: fields,
  disconnect: shape({ 'restart?': flag, 'terminateDebuggee?': flag, 'suspendDebuggee?': flag }),

  setBreakpoints: shape({
    source,
    'breakpoints?': list(shape({ line: count, 'column?': count, 'logMessage?': text, ...conditions })),
    'lines?': list(count),
  }),
  setFunctionBreakpoints: shape({ breakpoints: list(shape({ name: text, ...conditions })) }),
  setInstructionBreakpoints: shape({
    breakpoints: list(shape({ instructionReference: text, 'offset?': offset, ...conditions })),
  }),
  setExceptionBreakpoints: shape({ 'filters?': list(text), 'filterOptions?': list(fields) }),
  breakpointLocations: shape({ source, line: count, 'column?': count, 'endLine?': count }),

  cancel: shape({ 'requestId?': amount, 'progressId?': text }),

  continue: thread,
  pause: shape({ 'threadId?': count }),
  next: step,
  stepIn: step,
  stepOut: step,

  threads: fields,
  stackTrace: shape({ threadId: count, 'startFrame?': count, 'levels?': count }),
  scopes: shape({ frameId: count }),
  variables: shape({
    variablesReference: count,
    'filter?': word(['indexed', 'named']),
    'start?': count,
    'count?': count,
    'format?': format,
  }),
  setVariable: shape({ variablesReference: count, name: text, value: text, 'format?': format }),
  setExpression: shape({ expression: text, value: text, 'frameId?': count, 'format?': format }),
  evaluate: shape({ expression: text, 'frameId?': count, 'context?': text, 'format?': format }),
  completions: shape({ text, column: count, 'line?': count, 'frameId?': count }),
  exceptionInfo: shape({ 'threadId?': count }),

  readMemory: shape({ memoryReference: text, count: amount, 'offset?': offset }),
  // Its length is bounded by that of a message.
  writeMemory: shape({
    memoryReference: text,
    data: textUpTo(Infinity),
    'offset?': offset,
    'allowPartial?': flag,
  }),
  disassemble: shape({
    memoryReference: text,
    instructionCount: amount,
    'offset?': offset,
    'instructionOffset?': offset,
  }),
};

/** Throws UserError: what is wrong with which argument. */
export function decodeArguments<C extends Command>(command: C, args: unknown): RequestArguments[C] {
  return DECODERS[command](args ?? {}, command);
}

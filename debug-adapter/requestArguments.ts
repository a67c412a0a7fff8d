/**
 * The arguments of every request, checked before a handler sees them: what a client of another make, or a broken one, sends wrong is
 * answered by a sentence. `launch` and `attach` have a file of their own, launchArguments.ts.
 */
import { USER_ERROR, UserError } from './errors.ts';

/** Returns the value as its handler wants it. Throws UserError naming `at`. */
type Decode = (value: unknown, at: string) => unknown;
/** `?` behind a key's name: it may be absent. */
type Shape = Readonly<Record<string, Decode>>;

const MAX_INT32 = 2 ** 31 - 1;
/** No program is written in lines longer than this; keeps the parsers' work bounded. */
const MAX_TEXT = 65_536;
const MAX_ITEMS = 10_000;

const text = textUpTo(MAX_TEXT);
const flag: Decode = (value, at) => (typeof value === 'boolean' ? value : wrong(at, 'true or false', value));
/** Lines, columns, counts of what fits in a list, references. */
const count = whole(0, MAX_INT32);
/** Of bytes, also backwards. */
const offset = whole(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
const amount = whole(0, Number.MAX_SAFE_INTEGER);
const format = shape({ 'hex?': flag });
const source = shape({ 'path?': text, 'name?': text });
const conditions: Shape = { 'condition?': text, 'hitCondition?': text, 'mode?': text };
const step = shape({ threadId: count, 'singleThread?': flag, 'granularity?': text });
const thread = shape({ threadId: count });
const nothing = shape({});

const ARGUMENTS: Readonly<Record<string, Decode>> = {
  initialize: shape({ 'linesStartAt1?': flag, 'columnsStartAt1?': flag, 'supportsInvalidatedEvent?': flag }),
  launch: nothing,
  attach: nothing,
  configurationDone: nothing,
  restart: shape({ 'arguments?': nothing }),
  terminate: nothing,
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
  setExceptionBreakpoints: shape({ 'filters?': list(text), 'filterOptions?': list(nothing) }),
  breakpointLocations: shape({ source, line: count, 'column?': count, 'endLine?': count }),

  cancel: shape({ 'requestId?': amount, 'progressId?': text }),

  continue: thread,
  pause: shape({ 'threadId?': count }),
  next: step,
  stepIn: step,
  stepOut: step,

  threads: nothing,
  stackTrace: shape({ threadId: count, 'startFrame?': count, 'levels?': count }),
  scopes: shape({ frameId: count }),
  variables: shape({
    variablesReference: count,
    'filter?': text,
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
export function decodeArguments(command: string, args: unknown): object {
  const decode = ARGUMENTS[command] ?? nothing;
  return decode(args ?? {}, command) as object;
}

/** An object with at least these keys. `null` counts as absent: some clients write it. */
function shape(keys: Shape): Decode {
  const known = Object.entries(keys).map(([key, decode]) => {
    const optional = key.endsWith('?');
    return { key: optional ? key.slice(0, -1) : key, optional, decode };
  });
  return (value, at) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return wrong(at, 'an object', value);
    const given = value as Readonly<Record<string, unknown>>;
    const decoded: Record<string, unknown> = { ...given };
    for (const { key, optional, decode } of known) {
      const member = Object.hasOwn(given, key) ? (given[key] ?? undefined) : undefined;
      if (member !== undefined) decoded[key] = decode(member, `${at}: ${key}`);
      else if (!optional) throw invalid(`${at}: ${key} is missing`);
      else delete decoded[key];
    }
    return decoded;
  };
}

function list(item: Decode): Decode {
  return (value, at) => {
    if (!Array.isArray(value)) return wrong(at, 'a list', value);
    if (value.length > MAX_ITEMS) throw invalid(`${at} has ${value.length} items: at most ${MAX_ITEMS}`);
    return value.map((it, i) => item(it, `${at}[${i}]`));
  };
}

function whole(least: number, most: number): Decode {
  return (value, at) =>
    typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most
      ? value
      : wrong(at, `a whole number from ${least} to ${most}`, value);
}

function textUpTo(most: number): Decode {
  return (value, at) => {
    if (typeof value !== 'string') return wrong(at, 'a text', value);
    if (value.length > most)
      throw invalid(`${at} has ${value.length} characters: at most ${most} are accepted`);
    return value;
  };
}

function wrong(at: string, expected: string, value: unknown): never {
  throw invalid(`${at} must be ${expected}, not ${describe(value)}`);
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  return typeof value === 'number' ? String(value) : (JSON.stringify(value)?.slice(0, 100) ?? 'nothing');
}

function invalid(message: string): UserError {
  return new UserError(USER_ERROR.request, message);
}

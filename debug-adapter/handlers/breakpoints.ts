/** The requests that set breakpoints: by line, by function, by address. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import { BREAKPOINT_MODES, type BreakpointMode } from '../../vmm-core/protocol/run.ts';
import { USER_ERROR, UserError } from '../errors.ts';
import type { RequestArguments } from '../requestArguments.ts';
import { toClientLine, toServerColumn, toServerLine } from '../session/clientPositions.ts';
import type { Placement, WantedBreakpoint } from '../session/sessionBreakpoints.ts';
import type { SessionState } from '../session/sessionState.ts';
import { placeFunction, placeInstruction, placeLine, recordedPaths } from './placements.ts';

interface Breakpoints {
  readonly breakpoints: DebugProtocol.Breakpoint[];
}

export async function setBreakpoints(
  state: SessionState,
  args: DebugProtocol.SetBreakpointsArguments,
): Promise<Breakpoints> {
  const file = args.source.path;
  if (file === undefined)
    throw new UserError(USER_ERROR.request, 'setBreakpoints: breakpoints need a source with a path');
  const requested =
    args.breakpoints ?? (args.lines ?? []).map((line): DebugProtocol.SourceBreakpoint => ({ line }));
  const wanted = requested.map((it): WantedBreakpoint => {
    const line = toServerLine(state, it.line);
    const column = it.column === undefined ? undefined : toServerColumn(state, it.column);
    const mode = parseMode(it.mode);
    return refuseConditions(it, {
      key: `${line}:${column ?? ''}:${mode ?? ''}`,
      kind: 'source',
      ...(mode === undefined ? {} : { mode }),
      place: () => placeLine(state, file, line, column),
    });
  });
  const breakpoints = await state.breakpoints.replace(`source:${file}`, wantedUnlessOff(state, wanted));
  for (const problem of state.symbols.takeProblems()) state.output(`symbols: ${problem}`);
  return { breakpoints };
}

export async function setFunctionBreakpoints(
  state: SessionState,
  args: DebugProtocol.SetFunctionBreakpointsArguments,
): Promise<Breakpoints> {
  const wanted = args.breakpoints.map((it): WantedBreakpoint => {
    const name = it.name.trim();
    return refuseConditions(it, {
      key: name,
      kind: 'function',
      place: () => placeFunction(state, name),
    });
  });
  return { breakpoints: await state.breakpoints.replace('function', wantedUnlessOff(state, wanted)) };
}

export async function setInstructionBreakpoints(
  state: SessionState,
  args: DebugProtocol.SetInstructionBreakpointsArguments,
): Promise<Breakpoints> {
  const wanted = args.breakpoints.map((it): WantedBreakpoint => {
    const mode = parseMode(it.mode);
    return refuseConditions(it, {
      key: `${it.instructionReference}+${it.offset ?? 0}:${mode ?? ''}`,
      kind: 'instruction',
      ...(mode === undefined ? {} : { mode }),
      place: () => placeInstruction(it),
    });
  });
  return { breakpoints: await state.breakpoints.replace('instruction', wantedUnlessOff(state, wanted)) };
}

type Conditions = Pick<DebugProtocol.SourceBreakpoint, 'condition' | 'hitCondition' | 'logMessage'>;

/**
 * If armed, a conditional breakpoint would always stop: until conditions are evaluated it stays off, and says
 * so. It keeps the place it was asked for, so that the editor leaves it where it is.
 */
function refuseConditions(asked: Conditions, wanted: WantedBreakpoint): WantedBreakpoint {
  const given = [
    ...(isGiven(asked.condition) ? ['a condition'] : []),
    ...(isGiven(asked.hitCondition) ? ['a hit count'] : []),
    ...(isGiven(asked.logMessage) ? ['a log message'] : []),
  ];
  if (given.length === 0) return wanted;
  const what = given.join(' and ');
  const message = `${what} cannot be evaluated yet: the breakpoint is off until it has none`;
  const place = async (): Promise<Placement> => ({
    addresses: [],
    shown: (await wanted.place()).shown,
    problem: { reason: 'failed', message },
  });
  return { ...wanted, key: `${wanted.key}:${what}`, place };
}

/** Editors send an empty text for a condition that was removed. */
function isGiven(text: string | undefined): boolean {
  return text !== undefined && text.trim() !== '';
}

/** No filter is advertised; clients of older DAP versions send the request anyway. */
export function setExceptionBreakpoints(
  _state: SessionState,
  args: RequestArguments['setExceptionBreakpoints'],
): Breakpoints {
  const asked = [...(args.filters ?? []), ...(args.filterOptions ?? [])];
  const message = 'the VM cannot stop at exceptions of the guest yet';
  return { breakpoints: asked.map(() => ({ verified: false, reason: 'failed', message })) };
}

export async function breakpointLocations(
  state: SessionState,
  args: DebugProtocol.BreakpointLocationsArguments,
): Promise<{ breakpoints: DebugProtocol.BreakpointLocation[] }> {
  const file = args.source.path;
  if (file === undefined) return { breakpoints: [] };
  const from = toServerLine(state, args.line);
  const to = args.endLine === undefined ? from : toServerLine(state, args.endLine);
  const recorded = await recordedPaths(state, file);
  const found = await Promise.all(recorded.map((it) => state.symbols.breakpointLines(it, from, to)));
  const lines = [...new Set(found.flat().map((it) => it.line))].sort((a, b) => a - b);
  return { breakpoints: lines.map((line) => ({ line: toClientLine(state, line) })) };
}

function wantedUnlessOff(state: SessionState, wanted: WantedBreakpoint[]): WantedBreakpoint[] {
  if (!state.settings.noDebug) return wanted;
  const problem = { reason: 'failed', message: 'the VM was started without debugging' } as const;
  return wanted.map((it) => ({ ...it, place: () => ({ addresses: [], shown: {}, problem }) }));
}

function parseMode(mode: string | undefined): BreakpointMode | undefined {
  return BREAKPOINT_MODES.find((it) => it === mode);
}

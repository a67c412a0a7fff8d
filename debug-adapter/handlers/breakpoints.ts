/** Turns what DAP asks for (a line, a name, an address) into placements, with the symbols of the moment. */
import path from 'node:path';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { BREAKPOINT_MODES, type BreakpointMode } from '../../vmm-core/protocol/run.ts';
import { messageOf, USER_ERROR, UserError } from '../errors.ts';
import type { RequestArguments } from '../requestArguments.ts';
import type { SessionState } from '../session/sessionState.ts';
import type { Placement, WantedBreakpoint } from '../session/sessionBreakpoints.ts';
import { evaluateExpression } from '../target/expression.ts';
import { parseMemoryReference } from '../target/memoryReference.ts';
import { hex } from '../target/vmTarget.ts';

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
 * A breakpoint that must not always stop would, were it armed: until conditions are evaluated it stays off, and says so. It keeps the
 * place it was asked for, so that the editor leaves it where it is.
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

/** No filter is advertised; clients of older DAP versions send the request all the same. */
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

/** After symbols came or changed: tells the editor which breakpoints stand differently now. */
export async function announceBreakpoints(state: SessionState): Promise<void> {
  const changed = await state.breakpoints.relocate();
  for (const breakpoint of changed) state.send('breakpoint', { reason: 'changed', breakpoint });
}

function wantedUnlessOff(state: SessionState, wanted: WantedBreakpoint[]): WantedBreakpoint[] {
  if (!state.settings.noDebug) return wanted;
  const problem = { reason: 'failed', message: 'the VM was started without debugging' } as const;
  return wanted.map((it) => ({ ...it, place: () => ({ addresses: [], shown: {}, problem }) }));
}

async function placeLine(
  state: SessionState,
  file: string,
  line: number,
  column: number | undefined,
): Promise<Placement> {
  const source: DebugProtocol.Source = { name: path.basename(file), path: file };
  const asked = { source, line: toClientLine(state, line) };
  if (state.symbols.images.length === 0) {
    const message =
      state.vm !== undefined
        ? 'there are no symbols: name the ELF file with debug information in "symbolFiles"'
        : 'symbols are not loaded yet';
    return pending(asked, message);
  }
  const recorded = await recordedPaths(state, file);
  const found = await Promise.all(recorded.map((it) => state.symbols.locations(it, line, column)));
  const locations = found.flat();
  const [first] = locations;
  if (first === undefined) {
    return pending(
      asked,
      recorded.length > 0
        ? `there is no code at or after line ${line}`
        : `${path.basename(file)} is not in the debug information of ${imageNames(state)}`,
    );
  }
  const addresses = [...new Set(locations.filter((it) => it.line === first.line).map((it) => it.address))];
  const shown = { source, line: toClientLine(state, first.line), instructionReference: hex(first.address) };
  return { addresses, shown };
}

/** The recorded paths that mean the file; the symbol engine matches by path itself where it can. */
async function recordedPaths(state: SessionState, file: string): Promise<string[]> {
  return state.sources.toRecorded(file, await state.symbols.filesNamed(path.basename(file)));
}

function imageNames(state: SessionState): string {
  return state.symbols.images.map((it) => path.basename(it.path)).join(', ');
}

/** `name`, `*0xADDR` (any expression after the star), `symbol+offset`. */
async function placeFunction(state: SessionState, name: string): Promise<Placement> {
  if (name.startsWith('*')) return placeExpression(state, name.slice(1));
  const found = await state.symbols.functionsByName(name);
  const [first] = found;
  if (first !== undefined) {
    const addresses = [...new Set(found.map((it) => it.address))];
    return {
      addresses,
      shown: { ...lineOf(state, first.address), instructionReference: hex(first.address) },
    };
  }
  const address = state.symbols.addressByName(name);
  if (address !== undefined) return placeAddress(state, address);
  if (/[-+]/.test(name)) return placeExpression(state, name);
  if (state.symbols.images.length === 0) return pending({}, 'symbols are not loaded');
  const problem = `no function "${name}" in ${imageNames(state)}`;
  return pending({}, state.symbols.isIndexing ? `${problem} so far: its names are being read` : problem);
}

async function placeExpression(state: SessionState, text: string): Promise<Placement> {
  try {
    const { value } = await evaluateExpression(text, {
      language: 'c',
      wordBytes: 8,
      register: () => undefined, // an address that moves with the registers is none for a breakpoint
      symbol: (name) => state.symbols.addressByName(name),
      read: () =>
        Promise.reject(
          new UserError(USER_ERROR.expression, 'a breakpoint address cannot be read from memory'),
        ),
    });
    return placeAddress(state, value);
  } catch (error) {
    return pending({}, messageOf(error));
  }
}

function placeAddress(state: SessionState, address: bigint): Placement {
  return { addresses: [address], shown: { ...lineOf(state, address), instructionReference: hex(address) } };
}

function placeInstruction(wanted: DebugProtocol.InstructionBreakpoint): Placement {
  const { instructionReference, offset } = wanted;
  const shown = { instructionReference, ...(offset === undefined ? {} : { offset }) };
  try {
    const at = parseMemoryReference(instructionReference, offset ?? 0);
    if (at.physical === true) return failed(shown, 'breakpoints at physical addresses are not supported yet');
    return { addresses: [at.address], shown };
  } catch (error) {
    return failed(shown, messageOf(error));
  }
}

function lineOf(state: SessionState, address: bigint): Placement['shown'] {
  const found = state.symbols.everywhere.lineAt(address);
  const file = found && state.sources.toEditor(found.row.file, found.imagePath);
  if (found === undefined || file === undefined) return {};
  return { source: { name: path.basename(file), path: file }, line: toClientLine(state, found.row.line) };
}

function pending(shown: Placement['shown'], message: string): Placement {
  return { addresses: [], shown, problem: { reason: 'pending', message } };
}

function failed(shown: Placement['shown'], message: string): Placement {
  return { addresses: [], shown, problem: { reason: 'failed', message } };
}

function parseMode(mode: string | undefined): BreakpointMode | undefined {
  return BREAKPOINT_MODES.find((it) => it === mode);
}

/** DWARF counts lines and columns from 1; the client says from where it counts. */
export function toClientLine(state: SessionState, line: number): number {
  return state.client.linesStartAt1 === false ? line - 1 : line;
}

function toServerLine(state: SessionState, line: number): number {
  return state.client.linesStartAt1 === false ? line + 1 : line;
}

export function toClientColumn(state: SessionState, column: number): number {
  if (state.client.columnsStartAt1 === false) return Math.max(0, column - 1);
  return Math.max(1, column);
}

function toServerColumn(state: SessionState, column: number): number {
  return state.client.columnsStartAt1 === false ? column + 1 : column;
}

/** Where a breakpoint on a line, a function or an address goes, with the symbols loaded now. */
import path from 'node:path';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { messageOf, USER_ERROR, UserError } from '../errors.ts';
import { evaluateWord } from '../evaluation/machineScope.ts';
import { toClientLine } from '../session/clientPositions.ts';
import type { Placement } from '../session/sessionBreakpoints.ts';
import type { SessionState } from '../session/sessionState.ts';
import { parseMemoryReference } from '../target/memoryReference.ts';
import { hex } from '../target/vmTarget.ts';

export async function placeLine(
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

/** The recorded paths that mean the file; where it can, the symbol engine itself matches by path. */
export async function recordedPaths(state: SessionState, file: string): Promise<string[]> {
  return state.sources.toRecorded(file, await state.symbols.filesNamed(path.basename(file)));
}

function imageNames(state: SessionState): string {
  return state.symbols.images.map((it) => path.basename(it.path)).join(', ');
}

/** `name`, `*0xADDR` (any expression after the star), `symbol+offset`. */
export async function placeFunction(state: SessionState, name: string): Promise<Placement> {
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
    const { value } = await evaluateWord(text, {
      language: 'c',
      wordBytes: 8,
      register: () => undefined, // an address that moves with the registers is no use for a breakpoint
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

export function placeInstruction(wanted: DebugProtocol.InstructionBreakpoint): Placement {
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

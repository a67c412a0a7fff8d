/** The symbol files of a session: loading them, and their indexes in the background. */
import type { SymbolFile } from '../../vmm-core/config/settings/debug.ts';
import type { SessionState } from './sessionState.ts';
import { SymbolSet } from '../target/symbolSet.ts';
import { beginProgress } from './progress.ts';

export function loadSymbols(state: SessionState, files: readonly SymbolFile[]): void {
  state.symbols = SymbolSet.load(files, (message) => state.output(message), {
    obtain: state.obtainIndex,
    begin: (title, cancel) => beginProgress(state, title, cancel),
  });
  if (!state.settings.noDebug) void prepareIndexes(state, state.symbols);
}

/** Breakpoints on names and files that only an index knows are placed once it is ready. */
async function prepareIndexes(state: SessionState, symbols: SymbolSet): Promise<void> {
  const isNew = await symbols.prepareIndexes();
  if (isNew && state.symbols === symbols && state.phase !== 'ended') await announceBreakpoints(state);
}

/**
 * After a reset of the VM, which loads its image again: what to do when that image has been rebuilt
 * meanwhile.
 */
export async function reloadSymbols(state: SessionState): Promise<void> {
  if (!state.symbols.isStale()) return;
  const { files } = state.symbols;
  state.symbols.close();
  loadSymbols(state, files);
  state.output('the kernel was rebuilt: its symbols were read again');
  await announceBreakpoints(state);
}

/** After symbols were loaded or changed: tells the editor which breakpoints changed state. */
export async function announceBreakpoints(state: SessionState): Promise<void> {
  const changed = await state.breakpoints.relocate();
  for (const breakpoint of changed) state.send('breakpoint', { reason: 'changed', breakpoint });
}

/** After a reset of the VM, which loads its image again: what to do when that image has been rebuilt meanwhile. */
import type { SessionState } from '../sessionState.ts';
import { SymbolSet } from '../target/symbolSet.ts';
import { announceBreakpoints } from './breakpoints.ts';

export async function reloadSymbols(state: SessionState): Promise<void> {
  if (!state.symbols.isStale()) return;
  const { files } = state.symbols;
  state.symbols.close();
  state.symbols = SymbolSet.load(files, (message) => state.output(message));
  state.output('the kernel was rebuilt: its symbols were read again');
  await announceBreakpoints(state);
}

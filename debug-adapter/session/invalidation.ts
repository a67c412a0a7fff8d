/** What the editor reads again after a write: DAP's events memory and invalidated. */
import type { SessionState } from './sessionState.ts';
import { parseMemoryReference } from '../target/memoryReference.ts';
import { linksFrames } from './frames.ts';

/**
 * What the editor shows may depend on the registers written: RIP and the stack registers move frames, any may
 * change watches.
 */
export function registersChanged(state: SessionState, cpu: number, keys: readonly string[]): void {
  const movesFrames = keys.some((it) => ['rip', 'rsp', 'rbp', 'cs', 'ss', 'cr0', 'cr3', 'efer'].includes(it));
  state.stop.written();
  if (keys.includes('rip')) state.stop.hiddenFrames.delete(cpu);
  state.invalidate(movesFrames ? ['stacks', 'variables'] : ['variables'], cpu + 1);
}

/** Views on that memory, and whatever the editor shows that was computed from it, are read again. */
export function memoryChanged(
  state: SessionState,
  memoryReference: string,
  offset: number,
  count: number,
): void {
  if (state.client.supportsMemoryEvent === true) state.send('memory', { memoryReference, offset, count });
  const { address, physical } = parseMemoryReference(memoryReference, offset);
  const movesFrames = physical === true || linksFrames(state, address, count);
  state.stop.written();
  // An editor that reads the stack again also goes back to its top: only where it must.
  state.invalidate(movesFrames ? ['stacks', 'variables'] : ['variables']);
}

/**
 * Whether the guest runs the builds whose symbols we have: a program's build-id note is in its memory. Called
 * at every stop until the note of each file could be read, which for a kernel is once its pages are mapped.
 */
import { buildIdInMemory } from '../../vmm-core/elf/elfNotes.ts';
import type { SessionState } from './sessionState.ts';
import type { SymbolImage } from '../symbols/symbolImage.ts';

/** Header, `GNU` and the longest build-id that linkers make. */
const NOTE_BYTES = 16 + 64;

export async function checkBuilds(state: SessionState, cpu: number): Promise<void> {
  try {
    const { images } = await state.viewOf(cpu);
    for (const image of images) if (!state.checkedBuilds.has(image)) await checkBuild(state, cpu, image);
  } catch {
    // It runs again, or is gone: the next stop will do.
  }
}

async function checkBuild(state: SessionState, cpu: number, image: SymbolImage): Promise<void> {
  const { buildId, buildIdAddress: address, path } = image;
  if (buildId === undefined || address === undefined) return;
  const { data } = await state.requireTarget().readMemory({ address, cpu }, NOTE_BYTES);
  const running = buildIdInMemory(data);
  if (running === undefined || state.checkedBuilds.has(image)) return;
  state.checkedBuilds.add(image);
  if (running === buildId) return;
  state.output(
    `the guest does not run the build of ${path}: its memory has build-id ${running}, the file ${buildId}; lines, breakpoints and ` +
      'variables will be wrong until "symbolFiles" or "kernel" names the file of that build',
    'important',
  );
}

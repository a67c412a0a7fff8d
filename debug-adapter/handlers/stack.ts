/** Threads (the vCPUs) and their frames. */
import path from 'node:path';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { isFollowed } from '../session/phase.ts';
import type { SessionState } from '../session/sessionState.ts';
import type { InlineFrame } from '../symbols/symbolImage.ts';
import type { AddressView } from '../target/addressView.ts';
import { lookupAddress, type UnwindFrame } from '../target/unwindFrame.ts';
import { hex } from '../target/vmTarget.ts';
import { toClientColumn, toClientLine } from '../session/clientPositions.ts';
import { framesOf, memoryReferences } from '../session/frames.ts';

/** Frames computed for a client that asks for all of them at once. */
const DEFAULT_LEVELS = 64;

/** Also answered while the VM runs: an editor without threads offers no pause button. */
export async function threads(state: SessionState): Promise<{ threads: DebugProtocol.Thread[] }> {
  const { target } = state;
  if (target === undefined) return { threads: [] };
  const cpus = Array.from({ length: target.cpuCount }, (_, cpu) => cpu);
  return {
    threads: await Promise.all(
      cpus.map(async (cpu) => ({ id: cpu + 1, name: await threadName(state, cpu) })),
    ),
  };
}

async function threadName(state: SessionState, cpu: number): Promise<string> {
  const name = `vCPU${cpu}`;
  if (!isFollowed(state.phase) || state.target?.state !== 'paused') return name;
  try {
    const { mode, cpl, runnable } = await state.target.readRegisters(cpu);
    return `${name} · ${mode} · CPL${cpl}${runnable ? '' : ' · waiting'}`;
  } catch {
    return name; // it started to run, or ended, while we asked
  }
}

export async function stackTrace(
  state: SessionState,
  args: DebugProtocol.StackTraceArguments,
): Promise<DebugProtocol.StackTraceResponse['body']> {
  const { stop } = state;
  const cpu = state.cpuOf(args.threadId);
  const start = args.startFrame ?? 0;
  const levels = args.levels === undefined || args.levels === 0 ? DEFAULT_LEVELS : args.levels;
  // Inlined copies turn one frame into several shown ones, never fewer, so this many unwound ones are enough.
  const frames = await framesOf(state, cpu, start + levels);
  const hidden = stop.hiddenFrames.get(cpu) ?? 0;
  const view = await state.viewOf(cpu);
  const shown = frames.flatMap((frame, depth) =>
    shownFrames(state, view, frame, depth === 0 ? hidden : 0).map((it) => ({ ...it, frame, depth })),
  );
  const page = shown.slice(start, start + levels);
  const complete = stop.stacks.get(cpu)?.complete === true;
  const reference = await memoryReferences(state, cpu);
  return {
    stackFrames: page.map(({ frame, depth, inlineDepth, body }) => ({
      id: stop.frames.add({ cpu, depth, inlineDepth }),
      ...body,
      instructionPointerReference: reference(frame.pc),
    })),
    // One more than there is tells the editor to ask for the next page.
    totalFrames: complete ? shown.length : Math.max(shown.length, start + page.length + 1),
  };
}

type FrameBody = Omit<DebugProtocol.StackFrame, 'id' | 'instructionPointerReference'>;

/** One physical frame, and above it the functions inlined there except the innermost `hidden`. */
function shownFrames(
  state: SessionState,
  view: AddressView,
  frame: UnwindFrame,
  hidden: number,
): { readonly inlineDepth: number; readonly body: FrameBody }[] {
  const address = lookupAddress(frame);
  const found = view.lineAt(address);
  const imagePath = found?.imagePath;
  const chain = view.inlineChainAt(address);
  if (chain.length <= 1) {
    // Code without lines: the offset says where in it.
    const name = (found && chain[0]?.function) ?? view.describe(frame.pc) ?? hex(frame.pc);
    return [{ inlineDepth: 0, body: withSource(state, name, imagePath, found?.row) }];
  }
  const all = chain.map((it, i) => ({
    inlineDepth: i,
    body: withSource(state, it.function, imagePath, i === 0 ? (found?.row ?? it) : it),
  }));
  return all.slice(hidden);
}

function withSource(
  state: SessionState,
  name: string,
  imagePath: string | undefined,
  position: Pick<InlineFrame, 'file' | 'line' | 'column'> | undefined,
): FrameBody {
  const { file, line, column } = position ?? {};
  if (file === undefined || line === undefined || imagePath === undefined)
    return { name, line: 0, column: 0 };
  const real = state.sources.toEditor(file, imagePath);
  // Without a path the editor shows the name and does not try to open a file that is not there.
  const source: DebugProtocol.Source =
    real === undefined
      ? { name: path.basename(file), origin: `not found: ${file}`, presentationHint: 'deemphasize' }
      : { name: path.basename(real), path: real };
  return { name, source, line: toClientLine(state, line), column: toClientColumn(state, column ?? 0) };
}

/** The unwound frames of a vCPU at this stop: computed on demand, kept until the VM runs. */
import { USER_ERROR, UserError } from '../errors.ts';
import type { SessionState } from './sessionState.ts';
import type { ShownFrame } from './stopView.ts';
import { hex } from '../target/vmTarget.ts';
import { callerOf } from '../target/unwind.ts';
import { topFrame, type UnwindContext, type UnwindFrame } from '../target/unwindFrame.ts';

/** A chain longer than this is a loop or rubbish. */
const MAX_FRAMES = 512;

/** The first `count` frames, fewer when the stack ends before. */
export async function framesOf(
  state: SessionState,
  cpu: number,
  count: number,
): Promise<readonly UnwindFrame[]> {
  const { stacks } = state.stop;
  const context = await unwindContext(state, cpu);
  let stack = stacks.get(cpu);
  if (stack === undefined) {
    stack = { frames: [topFrame(context.cpu)], complete: false };
    stacks.set(cpu, stack);
  }
  while (!stack.complete && stack.frames.length < count) {
    const innermost = stack.frames.at(-1);
    const length = stack.frames.length;
    const caller = innermost === undefined ? undefined : await callerOf(innermost, context);
    if (stack.frames.length !== length) continue; // another request unwound this frame meanwhile
    if (caller === undefined || length >= MAX_FRAMES) stack.complete = true;
    else stack.frames.push(caller);
  }
  return stack.frames.slice(0, count);
}

/**
 * Whether bytes at a linear address are part of what links the shown frames: a return address, or the saved
 * frame pointer beside it.
 */
export function linksFrames(state: SessionState, address: bigint, lengthBytes: number): boolean {
  const slots = [...state.stop.stacks.values()].flatMap(({ frames }) => frames.map((it) => it.returnSlot));
  return slots.some(
    (slot) => slot !== undefined && address < slot + 8n && slot - 8n < address + BigInt(lengthBytes),
  );
}

/** A shown frame as it is now: since it was shown, registers or the stack may have been written. */
export async function frameNow(state: SessionState, { cpu, depth }: ShownFrame): Promise<UnwindFrame> {
  const frame = (await framesOf(state, cpu, depth + 1))[depth];
  if (frame === undefined)
    throw new UserError(USER_ERROR.stale, `frame ${depth} of vCPU${cpu} is gone: the stack was written to`);
  return frame;
}

/** What unwinding and the symbols need of a vCPU at this stop. */
export async function unwindContext(state: SessionState, cpu: number): Promise<UnwindContext> {
  const target = state.requireTarget();
  const view = await state.viewOf(cpu);
  return {
    cpu: await target.readRegisters(cpu),
    read: async (address, lengthBytes) => {
      const { data, unreadableBytes } = await target.readMemory({ address, cpu }, lengthBytes);
      return unreadableBytes === 0 ? data : undefined;
    },
    codeStart: (address) => view.codeStart(address),
    imageAt: (address) => view.imageAt(address),
  };
}

/**
 * References to memory as a vCPU sees it. Those without a vCPU mean the one that stopped last; another vCPU
 * is named only where it sees something else: other page tables, or code of another width.
 */
export async function memoryReferences(
  state: SessionState,
  cpu: number,
): Promise<(address: bigint) => string> {
  if (cpu === state.currentCpu) return hex;
  const target = state.requireTarget();
  const [own, current] = await Promise.all([
    target.readRegisters(cpu),
    target.readRegisters(state.currentCpu),
  ]);
  const same =
    own.mode === current.mode && ['cr0', 'cr3'].every((it) => own.values[it] === current.values[it]);
  return same ? hex : (address) => `cpu${cpu}:${hex(address)}`;
}

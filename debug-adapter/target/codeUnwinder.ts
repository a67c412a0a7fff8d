/**
 * From a frame to its caller by the code: what the function has done to the stack since its first
 * instruction, or else along the frame pointers. 32- and 64-bit code.
 */
import {
  callerByFramePointer,
  type LinkedCaller,
  type LinkedStack,
  readWord,
  returnThrough,
} from '../symbols/frames/framePointer.ts';
import { PrologueReader } from './prologue.ts';
import { codeBase, codeBits, stackBase } from './registers.ts';
import { lookupAddress, type UnwindContext, type UnwindFrame } from './unwindFrame.ts';

/** No function is longer; the last symbol of a file may seem so. */
const MAX_FUNCTION_BYTES = 1 << 16;

/** `undefined` at the outermost frame. */
export async function callerByCode(
  frame: UnwindFrame,
  context: UnwindContext,
): Promise<UnwindFrame | undefined> {
  const bits = codeBits(context.cpu.mode);
  if (bits === 16) return undefined;
  const stack = linkedStack(context, bits === 64 ? 8 : 4);
  const recovered = await byPrologue(frame, context, stack);
  if (recovered !== undefined) return recovered;
  const { pc, sp, registers, isCaller } = frame;
  const linked = { pc, sp, framePointer: registers.get('rbp'), pcIsReturnAddress: isCaller };
  return callerFrame(frame, await callerByFramePointer(linked, stack), context);
}

function linkedStack(context: UnwindContext, wordBytes: 4 | 8): LinkedStack {
  return {
    wordBytes,
    base: stackBase(context.cpu),
    read: (address, lengthBytes) => context.read(address, lengthBytes),
    functionStart: (address) => context.codeStart(address),
    isCode: async (address) => (await context.read(codeBase(context.cpu) + address, 1)) !== undefined,
  };
}

/** Callers' frames are higher: a chain that leads down is a loop. */
function callerFrame(
  frame: UnwindFrame,
  caller: LinkedCaller | undefined,
  { cpu }: UnwindContext,
): UnwindFrame | undefined {
  if (caller === undefined || caller.sp <= frame.sp) return undefined;
  const { returnAddress, returnSlot, sp, framePointer } = caller;
  const registers = new Map([
    ['rip', returnAddress],
    ['rsp', sp - stackBase(cpu)],
  ]);
  if (framePointer !== undefined) registers.set('rbp', framePointer);
  return { pc: codeBase(cpu) + returnAddress, sp, registers, returnSlot, isCaller: true };
}

/** By the code from the function's first instruction on. Registers that it leaves alone are the caller's. */
async function byPrologue(
  frame: UnwindFrame,
  context: UnwindContext,
  stack: LinkedStack,
): Promise<UnwindFrame | undefined> {
  const range = functionAround(lookupAddress(frame), context);
  const length = range === undefined ? 0n : range.end - range.start;
  if (range === undefined || length <= 0n || length > MAX_FUNCTION_BYTES) return undefined;
  const bytes = await context.read(range.start, Number(length));
  if (bytes === undefined) return undefined;
  const reader = await PrologueReader.read({ bytes, bits: stack.wordBytes === 8 ? 64 : 32 });
  const layout = reader.layoutAt(Number(frame.pc - range.start), frame.isCaller);
  const base = layout && frame.registers.get(layout.base);
  if (layout === undefined || base === undefined) return undefined;
  const cfa = stack.base + base + BigInt(layout.offset);
  const word = (place: number): Promise<bigint | undefined> => readWord(cfa + BigInt(place), stack);
  // Code without a frame may not be a function at all (`_start`): then what is on its stack is not a return
  // address.
  const target = await word(-stack.wordBytes);
  const isCalled = target !== undefined && (await followsCall(codeBase(context.cpu) + target, context));
  if (layout.base === 'rsp' && !isCalled) return undefined;
  const slot = cfa - BigInt(stack.wordBytes);
  const link = { framePointer: undefined, framePointerSlot: undefined };
  const caller = callerFrame(frame, await returnThrough(slot, link, stack), context);
  if (caller === undefined) return undefined;
  const registers = new Map<string, bigint | undefined>(caller.registers);
  for (const name of layout.kept) registers.set(name, frame.registers.get(name));
  for (const [name, place] of layout.saved) registers.set(name, await word(place));
  return { ...caller, registers: known(registers) };
}

/**
 * From its first instruction: a part that was moved elsewhere (`name.cold`) begins in the middle of a frame.
 */
function functionAround(
  address: bigint,
  context: UnwindContext,
): { readonly start: bigint; readonly end: bigint } | undefined {
  const image = context.imageAt(address);
  const found = image?.functionAt(address);
  if (image === undefined || found === undefined) return undefined;
  return image.symbolAt(found.start)?.name.includes('.cold') === true ? undefined : found;
}

/**
 * Longest first: `call` with a 32-bit distance, then those through a register or memory (SDM Vol. 2, CALL).
 */
async function followsCall(address: bigint, context: UnwindContext): Promise<boolean> {
  const before = await context.read(address - 7n, 7);
  if (before === undefined) return false;
  if (before[2] === 0xe8) return true;
  // ff /2 with its ModRM byte 2, 3, 4, 6 or 7 bytes before.
  return [2, 3, 4, 6, 7].some(
    (length) => before[7 - length] === 0xff && ((before[8 - length] ?? 0) & 0x38) === 0x10,
  );
}

function known(registers: ReadonlyMap<string, bigint | undefined>): Map<string, bigint> {
  const all = [...registers].filter((it): it is [string, bigint] => it[1] !== undefined);
  return new Map(all);
}

/**
 * From a frame to its caller: by the symbol files' tables for the code, else by what the code itself does to
 * the stack.
 */
import type { FrameContext } from '../symbols/frames/frameContext.ts';
import type { UnwoundFrame } from '../symbols/frames/frameUnwinder.ts';
import type { SymbolImage } from '../symbols/symbolImage.ts';
import { callerByCode } from './codeUnwinder.ts';
import { codeBase, codeBits } from './registers.ts';
import { lookupAddress, type UnwindContext, type UnwindFrame } from './unwindFrame.ts';

/**
 * A frame in the terms of symbols/. `undefined` where the image's code is of another width than the vCPU
 * executes.
 */
export function frameContext(
  frame: UnwindFrame,
  context: UnwindContext,
  image: SymbolImage,
): FrameContext | undefined {
  const bits = codeBits(context.cpu.mode);
  if (image.machine !== MACHINES[bits]) return undefined;
  const registers = bits === 64 ? frame.registers : renameRegisters(frame.registers, 'r', 'e');
  return { registers, memory: context, pcIsReturnAddress: frame.isCaller };
}

/**
 * `undefined` at the outermost frame. The image's tables also know frames without a frame pointer, and those
 * of interrupts.
 */
export async function callerOf(frame: UnwindFrame, context: UnwindContext): Promise<UnwindFrame | undefined> {
  const image = context.imageAt(lookupAddress(frame));
  const symbols = image && frameContext(frame, context, image);
  const unwound = symbols && (await image?.unwindByTables(symbols));
  if (unwound === undefined && symbols !== undefined && image?.isOutermost(symbols) === true)
    return undefined;
  if (unwound === undefined) return callerByCode(frame, context);
  const bits = codeBits(context.cpu.mode);
  const known = new Map([...unwound.registers].filter(([name]) => isKnown(name, unwound)));
  const registers = bits === 64 ? known : renameRegisters(known, 'e', 'r');
  const rip = registers.get('rip') ?? 0n;
  if (rip === 0n) return undefined;
  const pc = codeBase(context.cpu) + rip;
  if ((await context.read(pc, 1)) === undefined) return undefined;
  const returnSlot = unwound.savedAt.get(bits === 64 ? 'rip' : 'eip') ?? unwound.cfa - BigInt(bits / 8);
  const sp = registers.get('rsp') ?? unwound.cfa;
  return { pc, sp, registers, returnSlot, isCaller: !unwound.isSignalFrame };
}

/**
 * Calls may change the other registers (System V ABI, AMD64 §3.2.1, i386 §2.2.1): a callee's value would be a
 * guess. Interrupts save all.
 */
const KEPT_BY_CALLS = new Set([
  'rip',
  'rsp',
  'rbx',
  'rbp',
  'r12',
  'r13',
  'r14',
  'r15',
  'eip',
  'esp',
  'ebx',
  'ebp',
  'esi',
  'edi',
]);

function isKnown(name: string, unwound: UnwoundFrame): boolean {
  return unwound.isSignalFrame || unwound.savedAt.has(name) || KEPT_BY_CALLS.has(name);
}

/** SymbolImage.machine for each code width. */
const MACHINES: Readonly<Record<number, string>> = { 64: 'x86-64', 32: 'i386' };

/** The general registers of 32-bit code are `eax` … to the symbols, `rax` … in the protocol. */
function renameRegisters(
  registers: ReadonlyMap<string, bigint>,
  from: string,
  to: string,
): ReadonlyMap<string, bigint> {
  const renamed = [...registers].map(([name, value]): [string, bigint] => [
    name.startsWith(from) && LEGACY_REGISTER.test(name.slice(1)) ? to + name.slice(1) : name,
    BigInt.asUintN(32, value),
  ]);
  return new Map(renamed);
}

const LEGACY_REGISTER = /^([abcd]x|[sd]i|[bs]p|ip|flags)$/;

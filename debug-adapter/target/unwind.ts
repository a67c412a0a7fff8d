/**
 * From a frame to its caller: by call frame information where the symbols have it, else by what the code does to the stack, else along the
 * frame pointers, which every kernel built with `-fno-omit-frame-pointer` allows.
 */
import type { CpuRegisters } from '../../vmm-core/protocol/registers.ts';
import type { SymbolImage } from '../symbols/symbolImage.ts';
import { PrologueReader } from './prologue.ts';
import { codeBase, codeBits, linearPc, linearSp, registerValue, stackBase } from './registers.ts';
import type { FrameContext } from '../symbols/frames/frameContext.ts';
import type { UnwoundFrame } from '../symbols/frames/frameUnwinder.ts';

/** Registers of one frame, as far as they are known there. Addresses are linear. */
export interface UnwindFrame {
  /** For a caller: the return address. */
  readonly pc: bigint;
  readonly sp: bigint;
  /** Keys of CpuRegisters.values, `rip` included; for a caller only what the unwinder recovered. */
  readonly registers: ReadonlyMap<string, bigint>;
  /** Where this frame's return address was found, in the frame below it: once RSP is above, the callee has returned. */
  readonly returnSlot?: bigint;
  /** False for the frame the vCPU executes; callers are looked up one byte before `pc`, inside their call. */
  readonly isCaller: boolean;
}

/** What unwinding needs of the guest and its symbols. */
export interface UnwindContext {
  readonly cpu: CpuRegisters;
  /** `undefined` when any of it cannot be read. */
  read(address: bigint, lengthBytes: number): Promise<Uint8Array | undefined>;
  /** First address of the function around an address. */
  codeStart(address: bigint): bigint | undefined;
  /** The image whose code an address is in. */
  imageAt(address: bigint): SymbolImage | undefined;
}

export interface Unwinder {
  /** `undefined` at the outermost frame. */
  caller(frame: UnwindFrame, context: UnwindContext): Promise<UnwindFrame | undefined>;
}

export function topFrame(cpu: CpuRegisters): UnwindFrame {
  return {
    pc: linearPc(cpu),
    sp: linearSp(cpu),
    registers: new Map(Object.keys(cpu.values).map((key) => [key, registerValue(cpu, key)])),
    isCaller: false,
  };
}

/** Where to look a frame's code up: a return address may already belong to the next line or function. */
export function lookupAddress(frame: UnwindFrame): bigint {
  return frame.isCaller ? frame.pc - 1n : frame.pc;
}

/** A frame in the words of symbols/. `undefined` where the image's code is of another width than the vCPU executes. */
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

/** The image's tables first: they also know frames without a frame pointer, and those of interrupts. */
export const symbolUnwinder: Unwinder = {
  async caller(frame, context) {
    const image = context.imageAt(lookupAddress(frame));
    const symbols = image && frameContext(frame, context, image);
    const unwound = symbols && (await image?.unwindFrame(symbols));
    if (unwound === undefined && symbols !== undefined && image?.isOutermost(symbols) === true)
      return undefined;
    if (unwound === undefined || unwound.method === 'framePointer')
      return framePointerUnwinder.caller(frame, context);
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
  },
};

/** Calls may change the other registers (System V ABI, AMD64 §3.2.1, i386 §2.2.1): a callee's value would be a guess. Interrupts save all. */
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

/** SymbolImage.machine by the width of code. */
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

const OPCODE_PUSH_BP = 0x55;
const OPCODE_RET = 0xc3;
const OPCODE_RET_IMM16 = 0xc2;
const ENDBR = [0xf3, 0x0f, 0x1e];
const ENDBR_BYTES = 4;
const MOV_BP_SP_BYTES = 3; // 48 89 e5; without the prefix 89 e5 in 32-bit code

/**
 * By what the function's code does to the stack, else along RBP: [rbp] is the caller's RBP, [rbp + word] the return address. 32- and 64-bit
 * code.
 */
export const framePointerUnwinder: Unwinder = {
  async caller(frame, context) {
    const bits = codeBits(context.cpu.mode);
    if (bits === 16) return undefined;
    const recovered = await byPrologue(frame, context, bits);
    if (recovered !== undefined) return recovered;
    const wordBytes = bits / 8;
    const fp = frame.registers.get('rbp') ?? 0n;
    const pushed = frame.isCaller ? undefined : await wordsOnStack(frame.pc, context, bits);
    if (pushed !== undefined) {
      // RBP is still the caller's, or already again; right after `push rbp` it has been saved but not changed.
      return returnTo(frame, frame.sp + BigInt(pushed * wordBytes), fp, context, wordBytes);
    }
    const base = stackBase(context.cpu);
    const link = base + fp;
    if (fp === 0n || link < frame.sp) return undefined; // callers' frames lie higher
    const saved = await readWord(link, context, wordBytes);
    if (saved === undefined) return undefined;
    return returnTo(frame, link + BigInt(wordBytes), saved, context, wordBytes);
  },
};

/** Functions are not longer; the last symbol of a file may seem so. */
const MAX_FUNCTION_BYTES = 1 << 16;

/** By the code from the function's first instruction on. Registers that it leaves alone are the caller's. */
async function byPrologue(
  frame: UnwindFrame,
  context: UnwindContext,
  bits: 32 | 64,
): Promise<UnwindFrame | undefined> {
  const range = functionAround(lookupAddress(frame), context);
  const length = range === undefined ? 0n : range.end - range.start;
  if (range === undefined || length <= 0n || length > MAX_FUNCTION_BYTES) return undefined;
  const bytes = await context.read(range.start, Number(length));
  if (bytes === undefined) return undefined;
  const reader = await PrologueReader.read({ bytes, bits });
  const layout = reader.layoutAt(Number(frame.pc - range.start), frame.isCaller);
  const base = layout && frame.registers.get(layout.base);
  if (layout === undefined || base === undefined) return undefined;
  const wordBytes = bits / 8;
  const cfa = stackBase(context.cpu) + base + BigInt(layout.offset);
  const word = (place: number): Promise<bigint | undefined> =>
    readWord(cfa + BigInt(place), context, wordBytes);
  // Code without a frame may be no function at all (`_start`): then what is on its stack is no return address.
  const target = await word(-wordBytes);
  const isCalled = target !== undefined && (await followsCall(codeBase(context.cpu) + target, context));
  if (layout.base === 'rsp' && !isCalled) return undefined;
  const own = frame.registers.get('rbp') ?? 0n;
  const caller = await returnTo(frame, cfa - BigInt(wordBytes), own, context, wordBytes);
  if (caller === undefined) return undefined;
  const registers = new Map<string, bigint | undefined>(caller.registers);
  registers.delete('rbp');
  for (const name of layout.kept) registers.set(name, frame.registers.get(name));
  for (const [name, place] of layout.saved) registers.set(name, await word(place));
  return { ...caller, registers: known(registers) };
}

/** From its first instruction: a part that was moved elsewhere (`name.cold`) begins in the middle of a frame. */
function functionAround(
  address: bigint,
  context: UnwindContext,
): { readonly start: bigint; readonly end: bigint } | undefined {
  const image = context.imageAt(address);
  const found = image?.functionAt(address);
  if (image === undefined || found === undefined) return undefined;
  return image.symbolAt(found.start)?.name.includes('.cold') === true ? undefined : found;
}

/** Longest first: `call` with a 32-bit distance, then those through a register or memory (SDM Vol. 2, CALL). */
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

/**
 * How many words lie above the return address when the frame is not (or no longer) set up at `pc`: 0 at a function's first
 * instruction and at its `ret`, 1 after `push rbp`. `undefined` in the body, where RBP is the frame's own.
 */
async function wordsOnStack(pc: bigint, context: UnwindContext, bits: number): Promise<number | undefined> {
  const here = await context.read(pc, 1);
  if (here?.[0] === OPCODE_RET || here?.[0] === OPCODE_RET_IMM16) return 0;
  const start = context.codeStart(pc);
  if (start === undefined) return undefined;
  const prologueBytes = ENDBR_BYTES + 1 + MOV_BP_SP_BYTES;
  if (pc - start >= BigInt(prologueBytes)) return undefined;
  if (pc === start) return 0;
  const code = await context.read(start, prologueBytes);
  if (code === undefined) return undefined;
  const endbr = ENDBR.every((byte, i) => code[i] === byte) && code[3] === (bits === 64 ? 0xfa : 0xfb);
  const push = endbr ? ENDBR_BYTES : 0;
  const offset = Number(pc - start);
  if (code[push] !== OPCODE_PUSH_BP) return undefined;
  if (offset === push) return 0;
  return offset === push + 1 ? 1 : undefined;
}

async function returnTo(
  frame: UnwindFrame,
  slot: bigint,
  callerFp: bigint,
  context: UnwindContext,
  wordBytes: number,
): Promise<UnwindFrame | undefined> {
  const target = await readWord(slot, context, wordBytes);
  if (target === undefined || target === 0n) return undefined;
  const pc = codeBase(context.cpu) + target;
  if ((await context.read(pc, 1)) === undefined) return undefined; // not code: the chain ends in rubbish
  const sp = slot + BigInt(wordBytes);
  if (sp <= frame.sp) return undefined;
  const registers = new Map([
    ['rip', target],
    ['rsp', sp - stackBase(context.cpu)],
    ['rbp', callerFp],
  ]);
  return { pc, sp, registers, returnSlot: slot, isCaller: true };
}

async function readWord(
  address: bigint,
  context: UnwindContext,
  wordBytes: number,
): Promise<bigint | undefined> {
  const bytes = await context.read(address, wordBytes);
  if (bytes === undefined) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return wordBytes === 8 ? view.getBigUint64(0, true) : BigInt(view.getUint32(0, true));
}

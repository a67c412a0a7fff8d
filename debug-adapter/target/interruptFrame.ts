/**
 * Recognizes, at the first instruction of an exception or interrupt handler, what it interrupted. SDM vol. 3
 * §6.12.1 and §6.14.2: the CPU pushed (an error code,) RIP, CS, RFLAGS and, in 64-bit mode always, RSP and
 * SS.
 */
import type { CpuRegisters } from '../../vmm-core/protocol/registers.ts';
import { codeBase, codeBits, linearSp } from './registers.ts';

/**
 * An error code, and what the handler's first instruction pushed: hosts that emulate kernel code run it
 * before they stop.
 */
const WORDS_BELOW_RIP = 3;
const RFLAGS_ALWAYS_ONE = 1n << 1n;
const RFLAGS_RESERVED = ~0x3f_ffffn;

type Read = (address: bigint, lengthBytes: number) => Promise<Uint8Array | undefined>;

/**
 * Linear address of the interrupted instruction, when it is in `code`; `undefined` where the stack holds no
 * such frame.
 */
export async function interruptedPc(
  registers: CpuRegisters,
  read: Read,
  code: { readonly start: bigint; readonly end: bigint },
): Promise<bigint | undefined> {
  const bits = codeBits(registers.mode);
  if (bits === 16) return undefined;
  const wordBytes = bits / 8;
  const bytes = await read(linearSp(registers), (WORDS_BELOW_RIP + 3) * wordBytes);
  if (bytes === undefined) return undefined;
  const words = splitWords(bytes, wordBytes);
  for (let below = 0; below <= WORDS_BELOW_RIP; below++) {
    const pc = frameAt(registers, words.slice(below), code);
    if (pc !== undefined) return pc;
  }
  return undefined;
}

function frameAt(
  registers: CpuRegisters,
  words: readonly bigint[],
  code: { readonly start: bigint; readonly end: bigint },
): bigint | undefined {
  const [rip = 0n, cs, rflags = 0n] = words;
  const pc = codeBase(registers) + rip;
  // A trap or an interrupt after the last instruction leaves RIP at the end.
  if (pc < code.start || pc > code.end) return undefined;
  const selector = BigInt(registers.segments.cs?.selector ?? 0);
  const isFlags = (rflags & RFLAGS_ALWAYS_ONE) !== 0n && (rflags & RFLAGS_RESERVED) === 0n;
  return cs === selector && isFlags ? pc : undefined;
}

function splitWords(bytes: Uint8Array, wordBytes: number): bigint[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const words: bigint[] = [];
  for (let at = 0; at + wordBytes <= bytes.length; at += wordBytes) {
    words.push(wordBytes === 8 ? view.getBigUint64(at, true) : BigInt(view.getUint32(at, true)));
  }
  return words;
}

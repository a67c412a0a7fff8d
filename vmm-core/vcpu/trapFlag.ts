/**
 * Single step is RFLAGS.TF in the guest, and the guest can save it: an exception or interrupt taken during
 * the step pushes RFLAGS with TF set (SDM vol. 3 §6.12.1), and so does pushf. Restored by iret or popf, it
 * would trap the guest long after we stopped stepping. So the pushed copy is cleaned right after the step.
 * KVM does not do this (api.rst, KVM_GUESTDBG_SINGLESTEP, is silent on it).
 */
import { RFLAGS_RESERVED1, RFLAGS_TF } from '../abi/x86.ts';
import type { KvmRun } from '../kvm/kvmRun.ts';
import type { GuestMemory } from '../memory/guestMemory.ts';
import { walk } from '../memory/pageWalk.ts';
import { readWords, stackAddress } from './guestStack.ts';
import { codeBits, type Instruction, isPushFlags, MAX_INSTRUCTION_BYTES } from './instruction.ts';

/** Taken before the step, with the mirror of the registers up to date. */
export interface StepStart {
  readonly rip: bigint;
  readonly codeSelector: number;
  /** The guest itself single steps: what it pushes is its own. */
  readonly guestTraps: boolean;
  readonly pushesFlags: boolean;
}

/**
 * Words between RSP and the pushed RIP: an error code, and what the handler's first instruction pushed, which
 * hosts that emulate kernel code run before they report the step.
 */
const WORDS_BELOW_RIP = 3;
const RFLAGS_UNUSED = ~0x3f_ffffn;

export function noteStepStart(run: KvmRun, instruction: Instruction): StepStart {
  const { rip, rflags } = run.readGeneral();
  return {
    rip,
    codeSelector: run.readSystem().cs.selector,
    guestTraps: (rflags & RFLAGS_TF) !== 0n,
    pushesFlags: isPushFlags(instruction.bytes, instruction.bits),
  };
}

/** After the step, with the mirror up to date. */
export function hideTrapFlag(run: KvmRun, memory: GuestMemory, start: StepStart): void {
  if (start.guestTraps) return;
  if (!start.pushesFlags && isWithinInstruction(run.rip, start.rip) && run.rip !== start.rip) return;
  const sregs = run.readSystem();
  const bits = codeBits(sregs);
  const stack = stackAddress(run, sregs, bits);
  const words = readWords(memory, sregs, { address: stack, count: WORDS_BELOW_RIP + 3, bits });
  const at = start.pushesFlags && isFlags(words[0]) ? 0 : findFlags(words, start);
  if (at === undefined) return;
  const address = stack + BigInt((at * bits) / 8 + 1); // TF is bit 0 of the second byte
  const { gpa } = walk(memory, sregs, address);
  if (gpa !== undefined) memory.writeU8(gpa, memory.readU8(gpa) & ~Number(RFLAGS_TF >> 8n));
}

/** The index of RFLAGS in RIP, CS, RFLAGS of an exception frame of the stepped instruction. */
function findFlags(words: readonly bigint[], start: StepStart): number | undefined {
  for (let i = 0; i <= WORDS_BELOW_RIP; i++) {
    const rip = words[i];
    const selector = words[i + 1];
    if (rip === undefined || !isWithinInstruction(rip, start.rip)) continue;
    if (selector !== undefined && Number(selector & 0xffffn) === start.codeSelector && isFlags(words[i + 2]))
      return i + 2;
  }
  return undefined;
}

function isFlags(word: bigint | undefined): boolean {
  const always = RFLAGS_RESERVED1 | RFLAGS_TF;
  return word !== undefined && (word & always) === always && (word & RFLAGS_UNUSED) === 0n;
}

/** At the instruction (a fault) or right after it (a trap, an interrupt). */
function isWithinInstruction(rip: bigint, start: bigint): boolean {
  return rip >= start && rip <= start + BigInt(MAX_INSTRUCTION_BYTES);
}

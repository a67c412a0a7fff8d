/**
 * The little that stepping must know about the instruction at RIP, from its bytes. Intel SDM 2A §2.1
 * (prefixes) and its opcode map.
 */
import { CR0_PE, EFER_LMA, type SystemRegisters } from '../abi/x86.ts';
import type { KvmRun } from '../kvm/kvmRun.ts';
import type { GuestMemory } from '../memory/guestMemory.ts';
import { readLinear } from '../memory/linearMemory.ts';
import { ARMED_SW, type ArmedBreakpoints } from './armedBreakpoints.ts';

export const MAX_INSTRUCTION_BYTES = 15;
export const OPCODE_INT3 = 0xcc;
const OPCODE_HLT = 0xf4;
const OPCODE_PUSHF = 0x9c;
const OPCODE_CALL_NEAR = 0xe8;
const OPCODE_CALL_FAR = 0x9a;
const OPCODE_GROUP5 = 0xff;
const GROUP5_CALL_NEAR = 2;
const GROUP5_CALL_FAR = 3;

const LEGACY_PREFIXES = new Set([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3]);

export type CodeBits = 16 | 32 | 64;

export interface Instruction {
  /** The longest an instruction can be, or as many as are mapped: bytes after it are included. */
  readonly bytes: Uint8Array;
  readonly bits: CodeBits;
}

/** The instruction at RIP (mirror up to date), as the guest wrote it: planted int3s are hidden. */
export function readInstruction(run: KvmRun, memory: GuestMemory, armed: ArmedBreakpoints): Instruction {
  const sregs = run.readSystem();
  const at = run.linearRip;
  const bytes = readLinear(memory, sregs, at, MAX_INSTRUCTION_BYTES);
  for (const entry of armed.entries()) {
    const offset = Number(entry.address - at);
    if (entry.kind === ARMED_SW && offset >= 0 && offset < bytes.length) bytes[offset] = entry.original;
  }
  return { bytes, bits: codeBits(sregs) };
}

/** Two digits a byte. */
export function bytesText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}

/** Width of code and stack now: what a near call pushes. */
export function codeBits(sregs: SystemRegisters): CodeBits {
  if ((sregs.efer & EFER_LMA) !== 0n && sregs.cs.l) return 64;
  if ((sregs.cr0 & CR0_PE) === 0n) return 16;
  return sregs.cs.db ? 32 : 16;
}

export function isCall(bytes: Uint8Array, bits: CodeBits): boolean {
  const at = opcodeAt(bytes, bits);
  const opcode = bytes[at];
  if (opcode === OPCODE_CALL_NEAR || (opcode === OPCODE_CALL_FAR && bits !== 64)) return true;
  const group = ((bytes[at + 1] ?? 0) >> 3) & 7;
  return opcode === OPCODE_GROUP5 && (group === GROUP5_CALL_NEAR || group === GROUP5_CALL_FAR);
}

export function isHalt(bytes: Uint8Array, bits: CodeBits): boolean {
  return bytes[opcodeAt(bytes, bits)] === OPCODE_HLT;
}

export function isPushFlags(bytes: Uint8Array, bits: CodeBits): boolean {
  return bytes[opcodeAt(bytes, bits)] === OPCODE_PUSHF;
}

function opcodeAt(bytes: Uint8Array, bits: CodeBits): number {
  let i = 0;
  while (LEGACY_PREFIXES.has(bytes[i] ?? 0)) i++;
  if (bits === 64 && ((bytes[i] ?? 0) & 0xf0) === 0x40) i++; // REX
  return i;
}

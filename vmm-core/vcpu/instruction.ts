/** The little that stepping must know of the instruction at RIP, from its bytes. Intel SDM 2A §2.1 (prefixes), opcode map. */
import type { SystemRegisters } from '../abi/x86.ts';
import { CR0_PE, EFER_LMA } from '../abi/x86.ts';

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

/** Width of code and stack now: what a near call pushes. */
export function codeBits(sregs: SystemRegisters): 16 | 32 | 64 {
  if ((sregs.efer & EFER_LMA) !== 0n && sregs.cs.l) return 64;
  if ((sregs.cr0 & CR0_PE) === 0n) return 16;
  return sregs.cs.db ? 32 : 16;
}

function opcodeAt(bytes: Uint8Array, bits: 16 | 32 | 64): number {
  let i = 0;
  while (LEGACY_PREFIXES.has(bytes[i] ?? 0)) i++;
  if (bits === 64 && ((bytes[i] ?? 0) & 0xf0) === 0x40) i++; // REX
  return i;
}

export function isCall(bytes: Uint8Array, bits: 16 | 32 | 64): boolean {
  const at = opcodeAt(bytes, bits);
  const opcode = bytes[at];
  if (opcode === OPCODE_CALL_NEAR || (opcode === OPCODE_CALL_FAR && bits !== 64)) return true;
  const group = ((bytes[at + 1] ?? 0) >> 3) & 7;
  return opcode === OPCODE_GROUP5 && (group === GROUP5_CALL_NEAR || group === GROUP5_CALL_FAR);
}

export function isHalt(bytes: Uint8Array, bits: 16 | 32 | 64): boolean {
  return bytes[opcodeAt(bytes, bits)] === OPCODE_HLT;
}

export function isPushFlags(bytes: Uint8Array, bits: 16 | 32 | 64): boolean {
  return bytes[opcodeAt(bytes, bits)] === OPCODE_PUSHF;
}

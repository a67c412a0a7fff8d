/** The top of a vCPU's stack, with the register mirror up to date. */
import type { SystemRegisters } from '../abi/x86.ts';
import type { KvmRun } from '../kvm/kvmRun.ts';
import type { GuestMemory } from '../memory/guestMemory.ts';
import { readLinear } from '../memory/linearMemory.ts';
import type { CodeBits } from './instruction.ts';

/** Linear. Segments have a base outside 64-bit code, and SS says how wide SP is. */
export function stackAddress(run: KvmRun, { ss }: SystemRegisters, bits: CodeBits): bigint {
  if (bits === 64) return run.rsp;
  return ss.base + (ss.db ? run.rsp & 0xffff_ffffn : run.rsp & 0xffffn);
}

/** `count` words of `bits`, or as many as are mapped. */
export function readWords(
  memory: GuestMemory,
  sregs: SystemRegisters,
  at: { readonly address: bigint; readonly count: number; readonly bits: CodeBits },
): bigint[] {
  const wordBytes = at.bits / 8;
  const bytes = readLinear(memory, sregs, at.address, at.count * wordBytes);
  const words: bigint[] = [];
  for (let start = 0; start + wordBytes <= bytes.length; start += wordBytes) {
    const word = bytes.subarray(start, start + wordBytes);
    words.push(word.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n));
  }
  return words;
}

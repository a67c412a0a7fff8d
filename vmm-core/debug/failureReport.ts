/** What is known of a vCPU that cannot go on. Main thread. */
import type { KvmVcpu } from '../kvm/vcpu.ts';
import type { GuestMemory } from '../memory/guestMemory.ts';
import { readLinear } from '../memory/linearMemory.ts';
import { hex } from '../protocol/hex.ts';
import { type FatalCause, STOP } from '../protocol/stopCause.ts';
import { bytesText } from '../vcpu/instruction.ts';
import { readRegisters, registerReport } from './registers.ts';
import { isReset, lostRegistersReport, tripleFaultMessage } from './tripleFault.ts';

const CODE_BYTES = 16;

export interface FailureReport {
  /** One sentence for the user. */
  readonly message: string;
  /** Lines of text: registers, and the bytes at RIP. */
  readonly details: string;
}

export function reportFailure(cause: FatalCause, vcpu: KvmVcpu, memory: GuestMemory): FailureReport {
  if (cause.kind === STOP.failure) return { message: cause.message, details: stateReport(vcpu, memory) };
  const { index, run } = vcpu;
  return {
    message: tripleFaultMessage(index, run, cause.before),
    details: isReset(run) ? lostRegistersReport(index, cause.before) : stateReport(vcpu, memory),
  };
}

function stateReport(vcpu: KvmVcpu, memory: GuestMemory): string {
  const rip = vcpu.run.linearRip;
  const code = readLinear(memory, vcpu.run.readSystem(), rip, CODE_BYTES);
  return `${registerReport(readRegisters(vcpu))}\ncode at ${hex(rip)}: ${bytesText(code) || 'not mapped'}`;
}

/**
 * The exits of breakpoints and steps: whether one is ours, or the guest's own exception, which goes back to
 * it. The thread that runs the vCPU. Reference: Documentation/virt/kvm/api.rst (KVM_EXIT_DEBUG,
 * KVM_EXIT_INTERNAL_ERROR); SDM 3B §17.2 (DR6).
 */
import { KVM_INTERNAL_ERROR_EMULATION } from '../abi/kvm.ts';
import type { KvmVcpu } from '../kvm/vcpu.ts';
import type { GuestMemory } from '../memory/guestMemory.ts';
import { hex } from '../protocol/hex.ts';
import { STOP, type StopCause } from '../protocol/stopCause.ts';
import { ARMED_SW, type ArmedBreakpoints } from './armedBreakpoints.ts';
import { type GuestDebug, VECTOR_BP, VECTOR_DB } from './guestDebug.ts';
import { bytesText, OPCODE_INT3, readInstruction } from './instruction.ts';
import type { LiftedInt3 } from './liftedInt3.ts';

const DR6_SLOTS = 0xfn;

export interface BreakpointParts {
  readonly vcpu: KvmVcpu;
  readonly memory: GuestMemory;
  readonly armed: ArmedBreakpoints;
  readonly guestDebug: GuestDebug;
  readonly lifted: LiftedInt3;
}

export class BreakpointExits {
  readonly #parts: BreakpointParts;

  constructor(parts: BreakpointParts) {
    this.#parts = parts;
  }

  /** KVM_EXIT_DEBUG. Undefined: handled, continue. */
  debug(): StopCause | undefined {
    const { vcpu, armed, guestDebug, lifted } = this.#parts;
    const { exception, pc, dr6 } = vcpu.run.debug;
    if (exception === VECTOR_BP) {
      if (armed.at(pc) !== undefined && !lifted.isFrom(pc)) return { kind: STOP.breakpoint };
      guestDebug.giveBack(VECTOR_BP);
      return undefined;
    }
    if (guestDebug.isStepping) return { kind: STOP.step };
    if ((dr6 & DR6_SLOTS) !== 0n || armed.at(pc) !== undefined) return { kind: STOP.breakpoint };
    guestDebug.giveBack(VECTOR_DB);
    return undefined;
  }

  /**
   * KVM_EXIT_INTERNAL_ERROR. Hosts that emulate kernel code (no VMX or SVM) cannot execute int3 and end up
   * here with RIP on it: the breakpoint, or the guest's own int3, completed as the processor would: RIP after
   * it, #BP.
   */
  internalError(): StopCause | undefined {
    const { vcpu, armed, lifted } = this.#parts;
    vcpu.settle();
    const { suberror } = vcpu.run.internalError;
    if (suberror !== KVM_INTERNAL_ERROR_EMULATION) return failure(`KVM internal error, suberror ${suberror}`);
    const address = vcpu.run.linearRip;
    if (armed.at(address)?.kind === ARMED_SW && !lifted.isFrom(address)) return { kind: STOP.breakpoint };
    const bytes = this.#failedBytes();
    if (bytes[0] !== OPCODE_INT3) return failure(cannotEmulate(hex(address), bytes));
    vcpu.run.rip += 1n;
    vcpu.run.markGeneralDirty();
    vcpu.injectException(VECTOR_BP);
    return undefined;
  }

  #failedBytes(): Uint8Array {
    const { vcpu, memory, armed } = this.#parts;
    return vcpu.run.internalError.instruction ?? readInstruction(vcpu.run, memory, armed).bytes;
  }
}

function failure(message: string): StopCause {
  return { kind: STOP.failure, message };
}

function cannotEmulate(at: string, bytes: Uint8Array): string {
  if (bytes.length === 0)
    return `the guest runs at ${at}, where it has no memory: look at the last jump, call or return before`;
  return `KVM cannot emulate the instruction at ${at} (bytes ${bytesText(bytes)})`;
}

/**
 * Stepping one vCPU while all others are stopped: one instruction, or as many as stay in a range. The vCPU's
 * own thread.
 */
import type { KvmVcpu } from '../kvm/vcpu.ts';
import type { GuestMemory } from '../memory/guestMemory.ts';
import { hex } from '../protocol/hex.ts';
import { STOP, type StopCause } from '../protocol/stopCause.ts';
import type { ArmedBreakpoints } from './armedBreakpoints.ts';
import type { Exits } from './exits.ts';
import type { GuestDebug } from './guestDebug.ts';
import type { GuestEntry } from './guestEntry.ts';
import { readWords, stackAddress } from './guestStack.ts';
import { type CodeBits, isCall, isHalt, readInstruction } from './instruction.ts';
import type { LiftedInt3 } from './liftedInt3.ts';
import { STEP_INTERRUPTS, STEP_OVER, STEP_SILENT, type StepRequest } from './mailbox.ts';
import type { ExitObserver } from './observer.ts';
import type { StopBoard } from './stopBoard.ts';
import { hideTrapFlag, noteStepStart } from './trapFlag.ts';

export interface SteppingParts {
  readonly vcpu: KvmVcpu;
  readonly entry: GuestEntry;
  readonly memory: GuestMemory;
  readonly board: StopBoard;
  readonly armed: ArmedBreakpoints;
  readonly guestDebug: GuestDebug;
  readonly lifted: LiftedInt3;
  readonly exits: Exits;
  readonly observer: ExitObserver | undefined;
}

export class Stepping {
  readonly #parts: SteppingParts;

  constructor(parts: SteppingParts) {
    this.#parts = parts;
  }

  /** Ends outside [start, end), on a breakpoint, or with whatever else stopped the vCPU. */
  step(request: StepRequest): StopCause {
    const { vcpu, armed } = this.#parts;
    for (;;) {
      const cause = this.#stepOne(request);
      if (cause.kind !== STOP.step) return cause;
      const now = vcpu.run.linearRip;
      if ((request.flags & STEP_SILENT) === 0 && armed.at(now) !== undefined) {
        return { kind: STOP.breakpoint };
      }
      if (now < request.start || now >= request.end) return cause;
    }
  }

  #stepOne(request: StepRequest): StopCause {
    const { vcpu, memory, armed, lifted } = this.#parts;
    const instruction = readInstruction(vcpu.run, memory, armed);
    const { bytes, bits } = instruction;
    const start = noteStepStart(vcpu.run, instruction);
    const call = (request.flags & STEP_OVER) !== 0 && isCall(bytes, bits);
    // Only interrupts wake a halted vCPU.
    const interrupts = (request.flags & STEP_INTERRUPTS) !== 0 || isHalt(bytes, bits);
    lifted.lift(vcpu.run.linearRip);
    try {
      const cause = this.#trap(interrupts);
      if (cause.kind !== STOP.step) return cause;
      hideTrapFlag(vcpu.run, memory, start);
      return call ? this.#calleeEntry(bits) : cause;
    } finally {
      lifted.plant();
    }
  }

  /**
   * Enters the guest until the single-step trap; exits on the way (port I/O of the instruction) are answered.
   */
  #trap(interrupts: boolean): StopCause {
    const { vcpu, entry, board, guestDebug, exits, observer } = this.#parts;
    guestDebug.applyForStep({ interrupts });
    observer?.onRun();
    vcpu.run.immediateExit = false;
    vcpu.run.mirrorRegisters = true;
    board.fence();
    while (!board.isStopping) {
      const cause = entry.enter() ? exits.answer() : undefined;
      if (cause !== undefined) return cause;
    }
    return { kind: STOP.pause };
  }

  /** After a step into a call: the return address is on top of the stack. */
  #calleeEntry(bits: CodeBits): StopCause {
    const { vcpu, memory } = this.#parts;
    const sregs = vcpu.run.readSystem();
    const address = stackAddress(vcpu.run, sregs, bits);
    const [returnAddress] = readWords(memory, sregs, { address, count: 1, bits });
    if (returnAddress === undefined) return { kind: STOP.step };
    return {
      kind: STOP.calleeEntered,
      returnAddress: hex(bits === 64 ? returnAddress : sregs.cs.base + returnAddress),
      stack: hex(vcpu.run.rsp),
    };
  }
}

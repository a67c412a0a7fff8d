/**
 * The life of a vCPU's thread: wait in the mailbox, enter the guest, answer its exits, stop when told or when something
 * worth a stop happened. Registers of devices are answered right here (bus/); everything else is reported to main.
 */
import { KVM_EXIT, KVM_SYSTEM_EVENT_CRASH, KVM_SYSTEM_EVENT_RESET } from '../abi/kvm.ts';
import type { Bus } from '../bus/bus.ts';
import { KvmError } from '../errors.ts';
import { EAGAIN, EINTR } from '../kvm/errno.ts';
import type { KvmVcpu } from '../kvm/vcpu.ts';
import { DebugExits } from './debugExits.ts';
import type { ArmedBreakpoints } from './armedBreakpoints.ts';
import {
  type Mailbox,
  REQUEST,
  STEP_INTERRUPTS,
  STEP_OVER,
  STEP_SILENT,
  type StepRequest,
} from './mailbox.ts';
import type { VcpuMessage } from './messages.ts';
import type { GuestMemory } from '../memory/guestMemory.ts';
import { hexValues } from '../protocol/hex.ts';
import { type PowerCause, STOP, type StopCause } from '../protocol/stopCause.ts';
import { LastExit } from './lastExit.ts';
import { isCall, isHalt } from './instruction.ts';
import { hideTrapFlag, noteStepStart } from './trapFlag.ts';
import type { VcpuFacilities } from './vcpuFacilities.ts';

export interface RunLoopParts {
  readonly vcpu: KvmVcpu;
  readonly memory: GuestMemory;
  readonly ports: Bus;
  readonly mmio: Bus;
  readonly mailbox: Mailbox;
  readonly breakpoints: ArmedBreakpoints;
  readonly facilities: VcpuFacilities;
  readonly post: (message: VcpuMessage) => void;
  /** Main thread, which runs ahead: what the guest prints cannot be taken before the event loop has turned. */
  readonly isOutputStuck?: () => boolean;
}

/** `handOver`: the vCPU's thread shall run it from here. `interrupted`: something else wants this thread, then it may go on. */
export type AheadOutcome = 'handOver' | 'interrupted' | StopCause;

const PAUSE: StopCause = { kind: STOP.pause };
const STEP_DONE: StopCause = { kind: STOP.step };

export class RunLoop {
  readonly #parts: RunLoopParts;
  readonly #vcpu: KvmVcpu;
  readonly #debug: DebugExits;
  readonly #lastExit: LastExit | undefined;
  #power: PowerCause | undefined;

  constructor(parts: RunLoopParts) {
    this.#parts = parts;
    this.#vcpu = parts.vcpu;
    this.#lastExit = parts.facilities.resetsAtShutdown ? new LastExit(parts.vcpu.run) : undefined;
    this.#debug = new DebugExits(parts.vcpu, parts.memory, parts.breakpoints, parts.facilities);
  }

  /** Called by devices, within a bus access: the vCPU stops right after the instruction. */
  raisePower(cause: PowerCause): void {
    this.#power = cause;
  }

  /** Own thread, for good. */
  serve(): never {
    const { mailbox, post } = this.#parts;
    for (;;) {
      const request = mailbox.waitForRequest();
      const cause = this.#obey(request === REQUEST.STEP);
      mailbox.stopSelf(); // before the message: main may answer it at once
      post({ kind: 'stopped', cause });
    }
  }

  /** Main thread: runs the vCPU before its own thread is there, so that the guest need not wait for that. */
  runAhead(): AheadOutcome {
    try {
      this.#prepare();
      while (!this.#isOver()) {
        if (!this.#enter()) return this.#isOver() ? 'handOver' : 'interrupted';
        const cause = this.#answerExit();
        if (cause === undefined) continue;
        this.#vcpu.settle();
        return cause;
      }
      return 'handOver';
    } catch (error) {
      return broken(error);
    }
  }

  /** Main thread, between two calls of runAhead: the vCPU stops where it is. */
  pause(): StopCause {
    try {
      this.#vcpu.settle();
      return PAUSE;
    } catch (error) {
      return broken(error);
    }
  }

  /** The vCPU's thread is there, or has to be waited for. */
  #isOver(): boolean {
    return this.#parts.mailbox.wanted || this.#parts.isOutputStuck?.() === true;
  }

  #obey(step: boolean): StopCause {
    try {
      const cause = step ? this.#step(this.#parts.mailbox.readStep()) : this.#runFreely();
      this.#vcpu.settle();
      return cause;
    } catch (error) {
      return broken(error);
    }
  }

  #runFreely(): StopCause {
    const { mailbox } = this.#parts;
    this.#prepare();
    while (mailbox.request === REQUEST.RUN) {
      const cause = this.#enter() ? this.#answerExit() : undefined;
      if (cause !== undefined) return cause;
    }
    return PAUSE;
  }

  #prepare(): void {
    this.#debug.applyForRun();
    this.#lastExit?.begin();
    this.#vcpu.run.immediateExit = false; // then look whether to go on: a kick in between sets both again
    this.#parts.mailbox.fence();
  }

  /** One KVM_RUN. False when a signal ended it. Throws KvmError when the kernel refuses to run this vCPU. */
  #enter(): boolean {
    const result = this.#vcpu.enter();
    if (result >= 0) {
      this.#lastExit?.note();
      return true;
    }
    if (result === -EINTR || result === -EAGAIN) return false;
    throw new KvmError('KVM_RUN', -result);
  }

  /** Answers the exit in kvm_run. Undefined: go on. */
  #answerExit(): StopCause | undefined {
    const { run } = this.#vcpu;
    switch (run.exitReason) {
      case KVM_EXIT.IO:
        this.#portAccess();
        return this.#takePower();
      case KVM_EXIT.MMIO:
        this.#mmioAccess();
        return this.#takePower();
      case KVM_EXIT.INTR:
      case KVM_EXIT.HLT: // only without an in-kernel LAPIC
        return undefined;
      case KVM_EXIT.SHUTDOWN:
        return this.#tripleFault();
      case KVM_EXIT.SYSTEM_EVENT:
        return this.#systemEvent();
      default:
        return this.#debug.classify();
    }
  }

  #portAccess(): void {
    const { ports } = this.#parts;
    const { port, sizeBytes, count, isWrite, bytes, dataOffset } = this.#vcpu.run.io;
    for (let i = 0, at = dataOffset; i < count; i++, at += sizeBytes) {
      if (isWrite) ports.writeBytes(port, bytes, at, sizeBytes);
      else ports.readBytes(port, bytes, at, sizeBytes);
    }
  }

  #mmioAccess(): void {
    const { mmio } = this.#parts;
    const { address, sizeBytes, isWrite, data } = this.#vcpu.run.mmio;
    if (isWrite) mmio.writeBytes(address, data, 0, sizeBytes);
    else mmio.readBytes(address, data, 0, sizeBytes);
  }

  #takePower(): StopCause | undefined {
    const cause = this.#power;
    if (cause !== undefined) this.#power = undefined;
    return cause;
  }

  #tripleFault(): StopCause {
    if (this.#lastExit === undefined) return { kind: STOP.tripleFault };
    return { kind: STOP.tripleFault, before: hexValues({ ...this.#lastExit.read() }) };
  }

  #systemEvent(): StopCause {
    const { type } = this.#vcpu.run.systemEvent;
    if (type === KVM_SYSTEM_EVENT_CRASH)
      return { kind: STOP.failure, message: 'the guest reported a crash to KVM' };
    return type === KVM_SYSTEM_EVENT_RESET ? { kind: STOP.reset, by: 'KVM' } : { kind: STOP.powerOff };
  }

  /** One instruction, or as many as stay in [start, end). All other vCPUs are stopped. */
  #step(request: StepRequest): StopCause {
    for (;;) {
      const cause = this.#stepOne(request);
      if (cause !== STEP_DONE) return cause;
      const now = this.#vcpu.run.linearRip;
      if ((request.flags & STEP_SILENT) === 0 && this.#parts.breakpoints.at(now) !== undefined) {
        return { kind: STOP.breakpoint };
      }
      if (now < request.start || now >= request.end) return STEP_DONE;
    }
  }

  #stepOne(request: StepRequest): StopCause {
    const instruction = this.#debug.instruction();
    const { bytes, bits } = instruction;
    const start = noteStepStart(this.#vcpu.run, instruction);
    const call = (request.flags & STEP_OVER) !== 0 && isCall(bytes, bits);
    // A halted vCPU wakes by interrupts only.
    const interrupts = (request.flags & STEP_INTERRUPTS) !== 0 || isHalt(bytes, bits);
    const planted = this.#debug.lift();
    try {
      const cause = this.#trap(interrupts);
      if (cause === STEP_DONE) hideTrapFlag(this.#vcpu.run, this.#parts.memory, start);
      return cause === STEP_DONE && call ? this.#debug.calleeEntry(bits) : cause;
    } finally {
      this.#debug.plant(planted);
    }
  }

  /** Enters the guest until the single-step trap; exits on the way (port I/O of the instruction) are answered. */
  #trap(interrupts: boolean): StopCause {
    const { run } = this.#vcpu;
    this.#debug.applyForStep(interrupts);
    this.#lastExit?.begin();
    run.immediateExit = false;
    run.mirrorRegisters = true;
    this.#parts.mailbox.fence();
    while (this.#parts.mailbox.request === REQUEST.STEP) {
      if (!this.#enter()) continue;
      if (run.exitReason === KVM_EXIT.DEBUG && this.#debug.isStepTrap()) return STEP_DONE;
      const cause = this.#answerExit();
      if (cause !== undefined) return cause;
    }
    return PAUSE;
  }
}

/** KVM refused a call on this vCPU: the VM is broken, not the process. */
function broken(error: unknown): StopCause {
  return { kind: STOP.failure, message: error instanceof Error ? error.message : String(error) };
}

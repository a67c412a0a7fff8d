/**
 * The life of the thread that runs a vCPU: wait in the mailbox, enter the guest, hand each exit to the table
 * (exits.ts), stop when told or when an exit was worth it.
 */
import type { Bus } from '../bus/bus.ts';
import type { KvmVcpu } from '../kvm/vcpu.ts';
import type { GuestMemory } from '../memory/guestMemory.ts';
import { type PowerCause, STOP, type StopCause } from '../protocol/stopCause.ts';
import type { ArmedBreakpoints } from './armedBreakpoints.ts';
import { BreakpointExits } from './breakpointExits.ts';
import { enterGuest } from './enterGuest.ts';
import { Exits } from './exits.ts';
import { GuestDebug } from './guestDebug.ts';
import { LastExit } from './lastExit.ts';
import { LiftedInt3 } from './liftedInt3.ts';
import { type Mailbox, REQUEST } from './mailbox.ts';
import type { VcpuMessage } from './messages.ts';
import type { ExitObserver } from './observer.ts';
import { Stepping } from './stepping.ts';
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
  /**
   * Main thread, which runs ahead: what the guest prints cannot be taken before the event loop has turned.
   */
  readonly isOutputStuck?: () => boolean;
}

/**
 * `handOver`: the vCPU's thread shall run it from here. `interrupted`: something else wants this thread, then
 * it may go on.
 */
export type AheadOutcome = 'handOver' | 'interrupted' | StopCause;

const PAUSE: StopCause = { kind: STOP.pause };

export class RunLoop {
  readonly #parts: RunLoopParts;
  readonly #vcpu: KvmVcpu;
  readonly #observer: ExitObserver | undefined;
  readonly #guestDebug: GuestDebug;
  readonly #exits: Exits;
  readonly #stepping: Stepping;

  constructor(parts: RunLoopParts) {
    const { vcpu, memory, ports, mmio, mailbox, breakpoints: armed, facilities } = parts;
    const lastExit = facilities.resetsAtShutdown ? new LastExit(vcpu.run) : undefined;
    const observer = lastExit;
    const guestDebug = new GuestDebug(vcpu, armed, facilities.blockIrq);
    const lifted = new LiftedInt3(armed, memory);
    const breakpoints = new BreakpointExits({ vcpu, memory, armed, guestDebug, lifted });
    const exits = new Exits({ run: vcpu.run, ports, mmio, breakpoints, lastExit, observer });
    this.#parts = parts;
    this.#vcpu = vcpu;
    this.#observer = observer;
    this.#guestDebug = guestDebug;
    this.#exits = exits;
    this.#stepping = new Stepping({ vcpu, memory, mailbox, armed, guestDebug, lifted, exits, observer });
  }

  /** Called by devices, within a bus access: the vCPU stops right after the instruction. */
  raisePower(cause: PowerCause): void {
    this.#exits.raisePower(cause);
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
        if (!enterGuest(this.#vcpu)) return this.#isOver() ? 'handOver' : 'interrupted';
        const cause = this.#exits.answer();
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
      const cause = step ? this.#stepping.step(this.#parts.mailbox.readStep()) : this.#runFreely();
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
      const cause = enterGuest(this.#vcpu) ? this.#exits.answer() : undefined;
      if (cause !== undefined) return cause;
    }
    return PAUSE;
  }

  #prepare(): void {
    this.#guestDebug.applyForRun();
    this.#observer?.onRun();
    this.#vcpu.run.immediateExit = false; // then look whether to go on: a kick in between sets both again
    this.#parts.mailbox.fence();
  }
}

/** KVM refused a call on this vCPU: the VM is broken, not the process. */
function broken(error: unknown): StopCause {
  return { kind: STOP.failure, message: error instanceof Error ? error.message : String(error) };
}

/**
 * The life of the thread that runs a vCPU: wait in the mailbox, enter the guest, hand each exit to the table
 * (exits.ts), stop when told to or when an exit requires it.
 */
import type { Bus } from '../bus/bus.ts';
import type { KvmVcpu } from '../kvm/vcpu.ts';
import type { GuestMemory } from '../memory/guestMemory.ts';
import { type PowerCause, STOP, type StopCause } from '../protocol/stopCause.ts';
import type { ArmedBreakpoints } from './armedBreakpoints.ts';
import { BreakpointExits } from './breakpointExits.ts';
import { Exits } from './exits.ts';
import { GuestDebug } from './guestDebug.ts';
import { GuestEntry } from './guestEntry.ts';
import { LastExit } from './lastExit.ts';
import { LiftedInt3 } from './liftedInt3.ts';
import { type Mailbox, REQUEST, type Request } from './mailbox.ts';
import type { VcpuMessage } from './messages.ts';
import type { ExitObserver } from './observer.ts';
import { Stepping } from './stepping.ts';
import type { StopBoard } from './stopBoard.ts';
import type { VcpuFacilities } from './vcpuFacilities.ts';

export interface RunLoopParts {
  readonly vcpu: KvmVcpu;
  readonly memory: GuestMemory;
  readonly ports: Bus;
  readonly mmio: Bus;
  readonly mailbox: Mailbox;
  readonly board: StopBoard;
  readonly breakpoints: ArmedBreakpoints;
  readonly facilities: VcpuFacilities;
  readonly post: (message: VcpuMessage) => void;
  /** Main, which runs ahead: what the guest prints cannot be taken before the event loop has turned. */
  readonly isOutputStuck?: () => boolean;
}

/**
 * `handOver`: the vCPU's thread is to run it from here. `interrupted`: something else wants this thread,
 * then it may continue.
 */
export type AheadOutcome = 'handOver' | 'interrupted' | StopCause;

const PAUSE: StopCause = { kind: STOP.pause };

export class RunLoop {
  readonly #parts: RunLoopParts;
  readonly #vcpu: KvmVcpu;
  readonly #entry: GuestEntry;
  readonly #observer: ExitObserver | undefined;
  readonly #guestDebug: GuestDebug;
  readonly #exits: Exits;
  readonly #stepping: Stepping;

  constructor(parts: RunLoopParts) {
    const { vcpu, memory, ports, mmio, board, breakpoints: armed, facilities } = parts;
    const lastExit = facilities.resetsAtShutdown ? new LastExit(vcpu.run) : undefined;
    const observer = lastExit;
    const guestDebug = new GuestDebug(vcpu, armed, facilities.blockIrq);
    const lifted = new LiftedInt3(armed, memory);
    const breakpoints = new BreakpointExits({ vcpu, memory, armed, guestDebug, lifted });
    const exits = new Exits({ run: vcpu.run, ports, mmio, breakpoints, lastExit, observer });
    const entry = new GuestEntry(vcpu);
    this.#parts = parts;
    this.#vcpu = vcpu;
    this.#entry = entry;
    this.#observer = observer;
    this.#guestDebug = guestDebug;
    this.#exits = exits;
    this.#stepping = new Stepping({ vcpu, entry, memory, board, armed, guestDebug, lifted, exits, observer });
  }

  /** Called by devices, within a bus access: the vCPU stops right after the instruction. */
  raisePower(cause: PowerCause): void {
    this.#exits.raisePower(cause);
  }

  /** See DeviceHost.holdGuest. */
  hold(isOver: () => boolean): void {
    this.#entry.hold(isOver);
  }

  /** What holds the guest is known to this loop alone: until it is over, no other may run the vCPU. */
  get isHeld(): boolean {
    return this.#entry.isHeld;
  }

  /** The same, after a moment in which it may be over. */
  waitHeld(): boolean {
    this.#entry.wait();
    return this.isHeld;
  }

  /** Own thread; never returns. */
  serve(): never {
    const { mailbox, board, post } = this.#parts;
    for (;;) {
      const cause = this.#obey(mailbox.waitForRequest());
      if (board.arrive(this.#vcpu.index, cause)) post({ kind: 'stopped' });
    }
  }

  /** Main thread: runs the vCPU before its own thread is there, so that the guest need not wait for that. */
  runAhead(): AheadOutcome {
    try {
      this.#prepare();
      while (!this.#isOver()) {
        if (this.#parts.board.isStopping) return 'interrupted';
        if (!this.#entry.enter()) return this.#isOver() ? 'handOver' : 'interrupted';
        const cause = this.#exits.answer();
        if (cause !== undefined) return this.#settle(cause);
      }
      return 'handOver';
    } catch (error) {
      return broken(error);
    }
  }

  /** Main thread, between two calls of runAhead: the vCPU stops where it is. */
  pause(): StopCause {
    try {
      return this.#settle(PAUSE);
    } catch (error) {
      return broken(error);
    }
  }

  /** The vCPU's thread is ready, or has to be waited for. */
  #isOver(): boolean {
    return !this.isHeld && (this.#parts.mailbox.wanted || this.#parts.isOutputStuck?.() === true);
  }

  #obey(request: Request): StopCause {
    const { mailbox } = this.#parts;
    try {
      return this.#settle(
        request === REQUEST.STEP ? this.#stepping.step(mailbox.readStep()) : this.#runFreely(),
      );
    } catch (error) {
      return broken(error);
    }
  }

  #runFreely(): StopCause {
    const { board } = this.#parts;
    this.#prepare();
    while (!board.isStopping) {
      const cause = this.#entry.enter() ? this.#exits.answer() : undefined;
      if (cause !== undefined) return cause;
    }
    return PAUSE;
  }

  #prepare(): void {
    this.#guestDebug.applyForRun();
    this.#observer?.onRun();
    this.#vcpu.run.immediateExit = false; // then check whether to continue (stopBoard.ts)
    this.#parts.board.fence();
  }

  /** The others are kicked first: they stop while this vCPU copies its registers to the mirror. */
  #settle(cause: StopCause): StopCause {
    this.#parts.board.stopOthers(this.#vcpu.index);
    this.#vcpu.settle();
    return cause;
  }
}

/** KVM refused a call on this vCPU: the VM is broken, not the process. */
function broken(error: unknown): StopCause {
  return { kind: STOP.failure, message: error instanceof Error ? error.message : String(error) };
}

/**
 * The table of exits: how each reason for KVM_RUN to return is answered, on the thread that runs the vCPU.
 * Device registers are answered right here (bus/); what must stop the vCPU becomes a StopCause. A new reason
 * is a row.
 */
import { KVM_EXIT, KVM_SYSTEM_EVENT_CRASH, KVM_SYSTEM_EVENT_RESET } from '../abi/kvm.ts';
import type { Bus } from '../bus/bus.ts';
import type { KvmRun } from '../kvm/kvmRun.ts';
import { hex, hexValues } from '../protocol/hex.ts';
import { type PowerCause, STOP, type StopCause } from '../protocol/stopCause.ts';
import type { BreakpointExits } from './breakpointExits.ts';
import type { LastExit } from './lastExit.ts';
import type { ExitObserver } from './observer.ts';

export interface ExitParts {
  readonly run: KvmRun;
  readonly ports: Bus;
  readonly mmio: Bus;
  readonly breakpoints: Pick<BreakpointExits, 'debug' | 'internalError'>;
  readonly lastExit: Pick<LastExit, 'read'> | undefined;
  readonly observer: ExitObserver | undefined;
}

/** Undefined: answered, continue. */
type Answer = StopCause | undefined;

export class Exits {
  readonly #parts: ExitParts;
  readonly #run: KvmRun;
  readonly #observer: ExitObserver | undefined;
  readonly #table = this.#makeTable();
  #power: PowerCause | undefined;

  constructor(parts: ExitParts) {
    this.#parts = parts;
    this.#run = parts.run;
    this.#observer = parts.observer;
  }

  /** Answers the exit in kvm_run. */
  answer(): Answer {
    const { exitReason } = this.#run;
    this.#observer?.onExit(exitReason);
    const row = this.#table[exitReason];
    return row === undefined ? unhandled(exitReason) : row();
  }

  /** Called by devices, within a bus access: the vCPU stops right after the instruction. */
  raisePower(cause: PowerCause): void {
    this.#power = cause;
  }

  #makeTable(): Readonly<Record<number, () => Answer>> {
    return {
      [KVM_EXIT.IO]: () => this.#io(),
      [KVM_EXIT.MMIO]: () => this.#mmio(),
      [KVM_EXIT.INTR]: goOn,
      [KVM_EXIT.HLT]: goOn, // only without an in-kernel LAPIC
      [KVM_EXIT.DEBUG]: () => this.#parts.breakpoints.debug(),
      [KVM_EXIT.INTERNAL_ERROR]: () => this.#parts.breakpoints.internalError(),
      [KVM_EXIT.SHUTDOWN]: () => this.#shutdown(),
      [KVM_EXIT.SYSTEM_EVENT]: () => this.#systemEvent(),
      [KVM_EXIT.FAIL_ENTRY]: () => this.#failEntry(),
    };
  }

  #io(): Answer {
    const { ports } = this.#parts;
    const { port, sizeBytes, count, isWrite, bytes, dataOffset } = this.#run.io;
    for (let i = 0, at = dataOffset; i < count; i++, at += sizeBytes) {
      if (isWrite) ports.writeBytes(port, bytes, at, sizeBytes);
      else ports.readBytes(port, bytes, at, sizeBytes);
    }
    return this.#takePower();
  }

  #mmio(): Answer {
    const { mmio } = this.#parts;
    const { address, sizeBytes, isWrite, data } = this.#run.mmio;
    if (isWrite) mmio.writeBytes(address, data, 0, sizeBytes);
    else mmio.readBytes(address, data, 0, sizeBytes);
    return this.#takePower();
  }

  #takePower(): Answer {
    const cause = this.#power;
    if (cause !== undefined) this.#power = undefined;
    return cause;
  }

  /** KVM's exit for a triple fault. */
  #shutdown(): StopCause {
    const { lastExit } = this.#parts;
    if (lastExit === undefined) return { kind: STOP.tripleFault };
    return { kind: STOP.tripleFault, before: hexValues({ ...lastExit.read() }) };
  }

  #systemEvent(): StopCause {
    const { type } = this.#run.systemEvent;
    if (type === KVM_SYSTEM_EVENT_CRASH) return failure('the guest reported a crash to KVM');
    return type === KVM_SYSTEM_EVENT_RESET ? { kind: STOP.reset, by: 'KVM' } : { kind: STOP.powerOff };
  }

  #failEntry(): StopCause {
    const reason = `KVM_EXIT_FAIL_ENTRY, hardware reason ${hex(this.#run.failEntry.hardwareReason)}`;
    return failure(`the processor refused to enter the guest (${reason})`);
  }
}

function goOn(): undefined {
  return undefined;
}

function unhandled(reason: number): StopCause {
  return failure(`KVM stopped the vCPU with exit reason ${exitName(reason)}, which this VMM does not handle`);
}

function failure(message: string): StopCause {
  return { kind: STOP.failure, message };
}

function exitName(reason: number): string {
  const name = Object.entries(KVM_EXIT).find(([, value]) => value === reason)?.[0];
  return name === undefined ? String(reason) : `${reason} (KVM_EXIT_${name})`;
}

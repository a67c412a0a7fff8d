/**
 * A VM as its clients see it: a machine, run control, serial ports, and how it ends. Main thread. Used by the
 * control server and by `vmm run`; knows neither sockets nor argv.
 */
import type { SerialPort } from './backends/serial/serialPort.ts';
import type { VmConfig } from './config/vmConfig.ts';
import { type Breakpoint, Breakpoints, type Hit, type Status } from './debug/breakpoints.ts';
import { type FailureReport, reportFailure } from './debug/failureReport.ts';
import { debugFacilities } from './debug/probe.ts';
import { RunControl, type VcpuStep, type Verdict } from './debug/runControl.ts';
import { UserError } from './errors.ts';
import { log } from './log.ts';
import { Machine } from './machine/machine.ts';
import type { WarmParts } from './machine/warmParts.ts';
import { hex } from './protocol/hex.ts';
import type { StopEvent } from './protocol/run.ts';
import { type FatalCause, type ShownCause, STOP } from './protocol/stopCause.ts';
import type { VmEnd, VmState } from './protocol/vm.ts';
import type { VcpuThread } from './vcpu/vcpuThread.ts';
import { endByBug, endByFailure, endByGuest, endByKill, endWithoutImage } from './vmEnd.ts';

export interface VmEvents {
  /** `hits`: the breakpoints of all clients; each is told of its own. */
  onStopped(event: Omit<StopEvent, 'breakpointIds'>, hits: readonly Hit[]): void;
  onResumed(): void;
  /** The machine starts again from its image. */
  onReset(message: string): void;
  /** Once; all output has been delivered, and the machine exists (for a last look) until `close`. */
  onEnded(end: VmEnd): void;
  /**
   * A serial port's back end has stopped taking output; the guest runs on. `message` is a sentence for the
   * user.
   */
  onOutputLost(message: string): void;
  /** A disk fails, for one; the guest runs on. `message` is a sentence for the user. */
  onTrouble(message: string): void;
  /** True while a client wants to inspect a VM that cannot go on. */
  debuggerPresent(): boolean;
}

export class Vm {
  readonly machine: Machine;
  readonly runControl: RunControl;
  readonly breakpoints: Breakpoints;
  readonly serial: readonly SerialPort[];
  readonly #events: VmEvents;
  #end: VmEnd | undefined;
  #isOutputLost = false;
  #disksClosed: Promise<void> | undefined;
  /** Set while stopped for a reason that cannot be continued from: `resume` then ends the VM with it. */
  #fatal: VmEnd | undefined;

  /** Stopped at the first instruction. Throws what Machine throws. */
  constructor(config: VmConfig, warm: WarmParts, events: VmEvents) {
    this.#events = events;
    this.machine = this.#assemble(config, warm);
    this.serial = this.machine.serial.map(({ port }) => port);
    const { memory, breakpoints, threads, kvm } = this.machine;
    this.breakpoints = new Breakpoints(memory, breakpoints, threads, () => debugFacilities(kvm));
    this.runControl = new RunControl(
      this.machine.vcpus,
      this.breakpoints,
      (verdict) => this.#conclude(verdict),
      ({ cause }) => (cause.kind === STOP.reset ? this.machine.quiesce() : undefined),
    );
  }

  #assemble(config: VmConfig, warm: WarmParts): Machine {
    return new Machine(config, warm, {
      onOutputLost: (message) => this.#loseOutput(message),
      onTrouble: (message) => this.#events.onTrouble(message),
      onStuck: (message) => this.#endUnwatched(endByKill(message)),
      onHalted: () => this.#endUnwatched(endByGuest({ kind: STOP.powerOff })),
      onPanic: (event) => log.guest('guest', `the guest reports by pvpanic: ${event}`),
      onCrash: (error) => log.error('vcpu', 'a vCPU thread died', { stack: error.stack ?? String(error) }),
      onIoCrash: (error) => this.#crash(error),
    });
  }

  /** Somebody who looks at the guest has all the time. */
  #endUnwatched(end: VmEnd): void {
    if (this.state === 'running') void this.#endNow(end);
  }

  #loseOutput(message: string): void {
    this.#isOutputLost = true;
    this.#events.onOutputLost(message);
  }

  get state(): VmState {
    if (this.#end !== undefined) return 'ended';
    return this.runControl.running ? 'running' : 'paused';
  }

  /** Some of the guest's output could not be written to its back end. */
  get isOutputLost(): boolean {
    return this.#isOutputLost;
  }

  /**
   * After the end: resolves when the serial ports' back ends have taken all output, however slow they are, or
   * have stopped taking it. Of disks see `disksClosed`.
   */
  async outputTaken(): Promise<void> {
    await Promise.all(this.serial.map((port) => port.drained()));
  }

  /** After the end: resolves, in bounded time, when what the guest wrote is where it belongs. */
  disksClosed(): Promise<void> {
    this.#disksClosed ??= this.#closeDisks();
    return this.#disksClosed;
  }

  async #closeDisks(): Promise<void> {
    const isClosed = await this.machine.shutDown();
    if (!isClosed) log.error('io', 'a disk does not answer: what was written last may be lost');
  }

  get end(): VmEnd | undefined {
    return this.#end;
  }

  resume(): void {
    if (this.state !== 'paused') return;
    if (this.#fatal !== undefined) return this.finish(this.#fatal);
    this.#events.onResumed();
    this.runControl.resume();
  }

  /** From `paused`; `onStopped` follows. */
  step(plan: VcpuStep): void {
    if (this.#fatal !== undefined) return this.finish(this.#fatal);
    this.runControl.step(plan);
  }

  /**
   * Replaces the breakpoints of one owner, at an instant that no client notices. Returns a status for each,
   * in order.
   */
  setBreakpoints(owner: unknown, breakpoints: readonly Omit<Breakpoint, 'owner'>[]): Promise<Status[]> {
    const wanted = breakpoints.map((it) => ({ ...it, owner }));
    return this.runControl.hold(() => this.breakpoints.replace(owner, wanted));
  }

  /** Keys for a UART. */
  typed(port: number, bytes: Uint8Array): void {
    this.machine.serial[port]?.type(bytes);
  }

  /** The terminal at a serial port has another size. */
  resized(port: number, columns: number, rows: number): void {
    this.machine.serial[port]?.resize?.(columns, rows);
  }

  /**
   * Back to the first instruction, keeping the run state. Throws UserError when a file of the image is gone:
   * the VM stays as it was. Throws BootError when the image can no longer be loaded: the VM is over.
   */
  async reset(): Promise<void> {
    await this.machine.quiesce();
    await this.runControl.hold(() => {
      try {
        this.#resetNow('the machine was reset');
      } catch (error) {
        if (!(error instanceof UserError)) this.finish(endWithoutImage(error));
        throw error;
      }
    });
  }

  /** Ends the VM; `message` tells the user who did. Idempotent. */
  async kill(message: string): Promise<void> {
    await this.#endNow(endByKill(message));
  }

  async #endNow(end: VmEnd): Promise<void> {
    if (this.#end !== undefined) return;
    this.finish(end);
    await this.runControl.pause();
  }

  /** The guest would wait for its disks for ever. */
  #crash(error: Error): void {
    log.error('io', 'an I/O thread died', {
      stack: String(error.cause instanceof Error ? error.cause.stack : error),
    });
    this.finish(endByBug(error));
    void this.runControl.pause();
  }

  finish(end: VmEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.machine.flushOutput();
    this.#events.onEnded(end);
  }

  #resetNow(message: string): void {
    this.machine.reset();
    this.#fatal = undefined;
    this.breakpoints.forgetPlanted();
    this.#events.onReset(message);
  }

  #conclude({ cause, cpu, hits }: Verdict): void {
    if (this.#end !== undefined) return;
    switch (cause.kind) {
      case STOP.powerOff:
      case STOP.debugExit:
        return this.finish(endByGuest(cause));
      case STOP.reset:
        return this.#guestReset(endByGuest(cause));
      case STOP.tripleFault:
      case STOP.failure:
        return this.#fail(cause, cpu);
      default:
        return this.#stop(cause, cpu, hits);
    }
  }

  /** `end`: for VMs that a reset ends. */
  #guestReset(end: VmEnd): void {
    if (this.machine.powersOffByReset) return this.finish(endByGuest({ kind: STOP.powerOff }));
    if (this.machine.config.onReset === 'exit') return this.finish(end);
    try {
      this.#resetNow(end.message);
    } catch (error) {
      return this.finish(endWithoutImage(error));
    }
    this.runControl.resume();
  }

  #fail(cause: FatalCause, cpu: number): void {
    const report = reportFailure(cause, this.#thread(cpu).vcpu, this.machine.memory);
    const end = endByFailure(cause, report);
    if (!this.#events.debuggerPresent()) return this.finish(end);
    this.#fatal = end;
    this.#stop(cause, cpu, [], report);
  }

  #stop(cause: ShownCause, cpu: number, hits: readonly Hit[], report?: FailureReport): void {
    const pc = hex(this.#thread(cpu).vcpu.run.linearRip);
    this.#events.onStopped({ cause, cpu, pc, ...report }, hits);
  }

  #thread(cpu: number): VcpuThread {
    const thread = this.machine.threads[cpu];
    if (thread === undefined) throw new Error(`no vCPU ${cpu}`);
    return thread;
  }
}

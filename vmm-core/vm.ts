/**
 * A VM as its clients see it: a machine, run control, serial ports, and how it ends. Main thread. Used by the control server and by
 * `vmm run`; knows neither sockets nor argv.
 */
import { fileErrorText } from './client/regularFile.ts';
import type { VmConfig } from './config/vmConfig.ts';
import { Breakpoints, type Hit } from './debug/breakpoints.ts';
import { debugFacilities } from './debug/probe.ts';
import { readRegisters, registerReport } from './debug/registers.ts';
import { RunControl, type StepPlan, type Verdict } from './debug/runControl.ts';
import { isReset, lostRegistersReport, tripleFaultMessage } from './debug/tripleFault.ts';
import { OUTPUT_DEBUGCON } from './devices/deviceSet.ts';
import { UserError } from './errors.ts';
import { GuestText } from './guestText.ts';
import { log } from './log.ts';
import { Machine, type WarmParts } from './machine/machine.ts';
import { SerialPort } from './machine/serialPort.ts';
import { readLinear } from './memory/linearMemory.ts';
import { hex } from './protocol/hex.ts';
import type { StopEvent } from './protocol/run.ts';
import type { VmEnd, VmState } from './protocol/vm.ts';
import type { PowerEvent } from './vcpu/messages.ts';

export interface VmEvents {
  /** `hits`: the breakpoints of all clients; each is told of its own. */
  onStopped(event: Omit<StopEvent, 'breakpointIds'>, hits: readonly Hit[]): void;
  onResumed(): void;
  /** The machine starts again from its image. */
  onReset(message: string): void;
  /** Once; all output has been delivered, the machine still stands (for a last look) until `close`. */
  onEnded(end: VmEnd): void;
  /** A back end of a serial port takes nothing any more; the guest runs on. `message` is a sentence for the user. */
  onOutputLost(message: string): void;
  /** True while somebody wants to look at a VM that cannot go on. */
  debuggerPresent(): boolean;
}

const EXIT_HOST_ERROR = 1;
const EXIT_TRIPLE_FAULT = 3;
const CODE_BYTES = 16;

export class Vm {
  readonly machine: Machine;
  readonly runControl: RunControl;
  readonly breakpoints: Breakpoints;
  readonly serial: readonly SerialPort[];
  readonly #events: VmEvents;
  readonly #debugcon = new GuestText('debugcon');
  readonly #firmware = new GuestText('firmware');
  #end: VmEnd | undefined;
  #isOutputLost = false;
  /** Set while stopped by something that cannot be continued: `resume` ends the VM with it. */
  #fatal: VmEnd | undefined;

  /** Stopped at the first instruction. Throws what Machine and SerialPort throw. */
  constructor(config: VmConfig, warm: WarmParts, events: VmEvents) {
    this.#events = events;
    this.serial = openSerialPorts(config);
    try {
      this.machine = this.#assemble(config, warm);
    } catch (error) {
      for (const port of this.serial) port.close();
      throw error;
    }
    this.serial.forEach((port, i) => this.#watch(port, i, config));
    const { memory, breakpoints, threads, kvm } = this.machine;
    this.breakpoints = new Breakpoints(memory, breakpoints, threads, () => debugFacilities(kvm));
    this.runControl = new RunControl(this.machine, this.breakpoints, (verdict) => this.#conclude(verdict));
  }

  #assemble(config: VmConfig, warm: WarmParts): Machine {
    return new Machine(config, warm, {
      onOutput: (port, bytes) => this.#output(port, bytes),
      wantsOutput: (port) => this.serial[port]?.isBehind !== true,
      onPanic: (event) => log.guest('guest', `the guest reports by pvpanic: ${event}`),
      onCrash: (error) => log.error('vcpu', 'a vCPU thread died', { stack: error.stack ?? String(error) }),
    });
  }

  #watch(port: SerialPort, index: number, config: VmConfig): void {
    port.onDrained = () => this.machine.takeOutput(index);
    port.onBroken = (error) => {
      if (error.code === 'EPIPE') return; // the reader has what it wanted
      this.#isOutputLost = true;
      const backend = config.serial[index];
      const target = backend?.kind === 'file' ? backend.path : 'standard output';
      this.#events.onOutputLost(
        `cannot write the output of COM${index + 1} to ${target}: ${fileErrorText(error)}; the guest runs on without it`,
      );
    };
  }

  get state(): VmState {
    if (this.#end !== undefined) return 'ended';
    return this.runControl.running ? 'running' : 'paused';
  }

  /** Some of what the guest printed could not be written where it belongs. */
  get isOutputLost(): boolean {
    return this.#isOutputLost;
  }

  /** Resolves when the back ends of the serial ports have taken all output, however slow they are, or take nothing any more. */
  async outputTaken(): Promise<void> {
    await Promise.all(this.serial.map((port) => port.drained()));
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
  step(plan: StepPlan): void {
    if (this.#fatal !== undefined) return this.finish(this.#fatal);
    this.runControl.step(plan);
  }

  /** Keys for a UART. */
  typed(port: number, bytes: Uint8Array): void {
    this.machine.serialInputs[port]?.type(bytes);
  }

  /**
   * Back to the first instruction; goes on running if it ran. Throws UserError when a file of the image is gone: the VM goes on as it
   * was. Throws BootError when the image has become one that cannot be loaded: the VM is over.
   */
  async reset(): Promise<void> {
    await this.runControl.hold(() => {
      try {
        this.#resetNow('the machine was reset');
      } catch (error) {
        if (!(error instanceof UserError)) this.#endForWantOfImage(error);
        throw error;
      }
    });
  }

  /** Ends the VM; vCPUs are stopped first. Idempotent. */
  async kill(end: VmEnd): Promise<void> {
    if (this.#end !== undefined) return;
    this.finish(end);
    await this.runControl.pause();
  }

  finish(end: VmEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.machine.drainOutputs();
    this.#events.onEnded(end);
  }

  #resetNow(message: string): void {
    this.machine.reset();
    this.#fatal = undefined;
    this.breakpoints.forgetPlanted();
    this.#events.onReset(message);
  }

  #output(port: number, bytes: Uint8Array): void {
    const serial = this.serial[port];
    if (serial !== undefined) return serial.write(bytes);
    (port === OUTPUT_DEBUGCON ? this.#debugcon : this.#firmware).write(bytes);
  }

  #conclude(verdict: Verdict): void {
    if (this.#end !== undefined) return;
    if (verdict.kind === 'power') return this.#power(verdict.event);
    if (verdict.kind === 'tripleFault' || verdict.kind === 'error') return this.#fail(verdict);
    this.#stop(verdict.kind, verdict.cpu, { hits: verdict.kind === 'breakpoint' ? verdict.hits : [] });
  }

  #power(event: PowerEvent): void {
    switch (event.kind) {
      case 'powerOff':
        return this.finish({ kind: 'powerOff', exitCode: 0, message: 'the guest powered off' });
      case 'debugExit':
        return this.finish({
          kind: 'debugExit',
          exitCode: event.code,
          message: `the guest ended through isa-debug-exit with exit code ${event.code}`,
        });
      case 'reset':
        return this.#guestReset(event.by);
    }
  }

  #guestReset(by: string): void {
    const message = `the guest reset the machine (${by})`;
    if (this.machine.config.onReset === 'exit') return this.finish({ kind: 'reset', exitCode: 0, message });
    try {
      this.#resetNow(message);
    } catch (error) {
      return this.#endForWantOfImage(error);
    }
    this.runControl.resume();
  }

  #endForWantOfImage(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    const message = `the machine was reset, and its image cannot be loaded again: ${reason}`;
    this.finish({ kind: 'error', exitCode: EXIT_HOST_ERROR, message });
  }

  #fail(verdict: Extract<Verdict, { kind: 'tripleFault' | 'error' }>): void {
    const details = this.#report(verdict);
    const end: VmEnd =
      verdict.kind === 'tripleFault'
        ? {
            kind: 'tripleFault',
            exitCode: EXIT_TRIPLE_FAULT,
            message: this.#tripleFaultMessage(verdict),
            details,
          }
        : { kind: 'error', exitCode: EXIT_HOST_ERROR, message: verdict.message, details };
    if (!this.#events.debuggerPresent()) return this.finish(end);
    this.#fatal = end;
    this.#stop(verdict.kind, verdict.cpu, { message: end.message, details });
  }

  #stop(
    reason: StopEvent['reason'],
    cpu: number,
    { hits = [], ...more }: { hits?: readonly Hit[]; message?: string; details?: string },
  ): void {
    const pc = this.machine.threads[cpu]?.vcpu.run.linearRip ?? 0n;
    this.#events.onStopped({ reason, cpu, pc: hex(pc), ...more }, hits);
  }

  #tripleFaultMessage({ cpu, before }: Extract<Verdict, { kind: 'tripleFault' }>): string {
    const run = this.machine.threads[cpu]?.vcpu.run;
    return run === undefined ? '' : tripleFaultMessage(cpu, run, before);
  }

  /** Registers of the vCPU and the bytes around RIP; what is left of them where KVM has reset it. */
  #report(verdict: Extract<Verdict, { kind: 'tripleFault' | 'error' }>): string {
    const { cpu } = verdict;
    const vcpu = this.machine.threads[cpu]?.vcpu;
    if (vcpu === undefined) return '';
    if (verdict.kind === 'tripleFault' && isReset(vcpu.run)) return lostRegistersReport(cpu, verdict.before);
    const rip = vcpu.run.linearRip;
    const code = readLinear(this.machine.memory, vcpu.run.readSystem(), rip, CODE_BYTES);
    const bytes = Array.from(code, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
    return `${registerReport(readRegisters(vcpu))}\ncode at ${hex(rip)}: ${bytes || 'not mapped'}`;
  }
}

/** Throws UserError; then none is left open. */
function openSerialPorts(config: VmConfig): SerialPort[] {
  const ports: SerialPort[] = [];
  try {
    for (const backend of config.serial) ports.push(new SerialPort(backend));
    return ports;
  } catch (error) {
    for (const port of ports) port.close();
    throw error;
  }
}

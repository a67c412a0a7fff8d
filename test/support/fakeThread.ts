/** A vCPU thread without a vCPU: a test says when and why it stops. Stands in for vcpu/vcpuThread.ts. */
import type { SystemRegisters } from '../../vmm-core/abi/x86.ts';
import { STOP, type StopCause } from '../../vmm-core/protocol/stopCause.ts';
import type { StepRequest } from '../../vmm-core/vcpu/mailbox.ts';
import type { VcpuThread } from '../../vmm-core/vcpu/vcpuThread.ts';
import { protectedMode } from './registerStates.ts';

export class FakeThread {
  readonly index: number;
  /** What it was told, in order: `run`, `step`, `pause`. */
  readonly told: string[] = [];
  rip = 0n;
  rsp = 0x8000n;
  sregs: SystemRegisters = protectedMode();
  /** Answers a step at once; without it a step lasts until `stop`. */
  onStep: ((request: StepRequest) => StopCause) | undefined;
  /** Called at each `run`, for threads that stop by themselves. */
  onRun: (() => void) | undefined;
  readonly vcpu: object;
  #finish: ((cause: StopCause) => void) | undefined;
  #started: () => void = () => undefined;

  constructor(index: number) {
    this.index = index;
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- the getters below are another object's
    const self = this;
    const run = {
      get linearRip() {
        return self.rip;
      },
      get rsp() {
        return self.rsp;
      },
      readSystem: () => self.sregs,
    };
    this.vcpu = { index, run, noteStop: () => undefined };
  }

  /** As what it stands in for. */
  asThread(): VcpuThread {
    return this as unknown as VcpuThread;
  }

  get running(): boolean {
    return this.#finish !== undefined;
  }

  run(): Promise<StopCause> {
    this.told.push('run');
    const stopped = this.#start();
    this.onRun?.();
    return stopped;
  }

  step(request: StepRequest): Promise<StopCause> {
    this.told.push('step');
    const stopped = this.#start();
    if (this.onStep !== undefined) this.stop(this.onStep(request));
    return stopped;
  }

  /** A running thread obeys, unless the test has stopped it for another reason already. */
  pause(): void {
    if (!this.running) return;
    this.told.push('pause');
    queueMicrotask(() => this.stop({ kind: STOP.pause }));
  }

  /** The vCPU stops. No-op when it does not run. */
  stop(cause: StopCause): void {
    const finish = this.#finish;
    this.#finish = undefined;
    finish?.(cause);
  }

  hit(address: bigint): void {
    this.rip = address;
    this.stop({ kind: STOP.breakpoint });
  }

  /** Resolves when it is told to run or step the next time. */
  started(): Promise<void> {
    return new Promise((resolve) => (this.#started = resolve));
  }

  #start(): Promise<StopCause> {
    if (this.running) throw new Error(`vCPU ${this.index} is running already`);
    const stopped = new Promise<StopCause>((resolve) => (this.#finish = resolve));
    this.#started();
    return stopped;
  }
}

/**
 * vCPU threads without vCPUs: a test says when and why each stops. They replace vcpu/vcpuThread.ts; the stop
 * board where they meet, and what waits there, are real.
 */
import type { SystemRegisters } from '../../vmm-core/abi/x86.ts';
import { STOP, type StopCause } from '../../vmm-core/protocol/stopCause.ts';
import type { StepRequest } from '../../vmm-core/vcpu/mailbox.ts';
import { StopBoard } from '../../vmm-core/vcpu/stopBoard.ts';
import { VcpuSet } from '../../vmm-core/vcpu/vcpuSet.ts';
import type { VcpuThread } from '../../vmm-core/vcpu/vcpuThread.ts';
import { protectedMode } from './registerStates.ts';

export function fakeVcpus(cpus: number): {
  readonly threads: readonly FakeThread[];
  readonly vcpus: VcpuSet;
} {
  const board = new StopBoard(StopBoard.allocate(cpus), (cpu) => threads[cpu]?.kicked());
  const threads = Array.from({ length: cpus }, (_, i) => new FakeThread(i, board));
  const real = threads.map((thread) => thread.asThread());
  const events = { onRun: () => undefined, onMeeting: () => undefined };
  return { threads, vcpus: new VcpuSet(real, board, events) };
}

export class FakeThread {
  readonly index: number;
  /** What it was told, in order: `run`, `step`, `pause`. */
  readonly told: string[] = [];
  rip = 0n;
  rsp = 0x8000n;
  sregs: SystemRegisters = protectedMode();
  /** Answers a step at once; without it a step lasts until `stop`. */
  onStep: ((request: StepRequest) => StopCause) | undefined;
  /** The vCPU set's. */
  onStop: () => void = () => undefined;
  readonly vcpu: object;
  readonly #board: StopBoard | undefined;
  #started: () => void = () => undefined;

  /** Without a board it cannot run. */
  constructor(index: number, board?: StopBoard) {
    this.index = index;
    this.#board = board;
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

  /** As in vcpu/vcpuThread.ts. */
  asThread(): VcpuThread {
    return this as unknown as VcpuThread;
  }

  get running(): boolean {
    return this.#board?.isOut(this.index) === true;
  }

  run(): void {
    this.told.push('run');
    this.#started();
  }

  step(request: StepRequest): void {
    this.told.push('step');
    this.#started();
    if (this.onStep !== undefined) this.stop(this.onStep(request));
  }

  /** A running thread obeys, unless the test has stopped it for another reason already. */
  kicked(): void {
    this.told.push('pause');
    queueMicrotask(() => this.stop({ kind: STOP.pause }));
  }

  /** The vCPU stops. No-op when it does not run. */
  stop(cause: StopCause): void {
    if (this.running && this.#board?.arrive(this.index, cause) === true) this.onStop();
  }

  hit(address: bigint): void {
    this.rip = address;
    this.stop({ kind: STOP.breakpoint });
  }

  /** Resolves when it is told to run or step the next time. */
  started(): Promise<void> {
    return new Promise((resolve) => (this.#started = resolve));
  }
}

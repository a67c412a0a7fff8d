/** All vCPUs of a VM: let run together, or one of them alone, until all have stopped. Main thread. */
import type { StopCause } from '../protocol/stopCause.ts';
import type { StepRequest } from './mailbox.ts';
import type { StopBoard } from './stopBoard.ts';
import type { VcpuThread } from './vcpuThread.ts';

export interface VcpuStop {
  readonly cpu: number;
  readonly cause: StopCause;
}

export interface VcpuSetEvents {
  /** vCPUs are about to run. */
  onRun(): void;
  /**
   * All have stopped. What they posted before may still be on its way, for only the last one has woken us.
   */
  onStop(): void;
}

export class VcpuSet {
  readonly threads: readonly VcpuThread[];
  readonly #board: StopBoard;
  readonly #events: VcpuSetEvents;
  #finish: (() => void) | undefined;

  constructor(threads: readonly VcpuThread[], board: StopBoard, events: VcpuSetEvents) {
    this.threads = threads;
    this.#board = board;
    this.#events = events;
    for (const thread of threads) thread.onStop = () => this.#stopped();
  }

  /**
   * Resolves with why each has stopped. When main runs vCPU 0 itself, it returns only when that is its
   * worker's.
   */
  run(): Promise<readonly VcpuStop[]> {
    const stops = this.#open(this.threads);
    // From the last to the first: main may run vCPU 0 itself for a start, and the others need not wait for
    // that.
    for (const thread of [...this.threads].reverse()) thread.run();
    return stops;
  }

  /** One instruction or a range; resolves with why it ended. */
  async step(cpu: number, request: StepRequest): Promise<StopCause> {
    const thread = this.threads[cpu];
    if (thread === undefined) throw new Error(`no vCPU ${cpu}`);
    const stops = this.#open([thread]);
    thread.step(request);
    await stops;
    return this.#board.cause(cpu);
  }

  /**
   * Asks those that run to stop; their promise tells when they have, and why: they may have had their own
   * reasons.
   */
  pause(): void {
    if (this.#finish !== undefined) this.#board.stop();
  }

  #open(threads: readonly VcpuThread[]): Promise<readonly VcpuStop[]> {
    if (this.#finish !== undefined) throw new Error('the vCPUs are running already');
    this.#events.onRun();
    const cpus = threads.map(({ index }) => index);
    this.#board.open(cpus);
    return new Promise((resolve) => {
      this.#finish = () => resolve(cpus.map((cpu) => ({ cpu, cause: this.#board.cause(cpu) })));
    });
  }

  /** The board has the last word: a thread that died may have told us as well that it was the last. */
  #stopped(): void {
    if (this.#finish === undefined || this.#board.isAnyOut) return;
    const finish = this.#finish;
    this.#finish = undefined;
    this.#events.onStop();
    finish();
  }
}

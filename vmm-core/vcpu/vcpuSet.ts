/** All vCPUs of a VM: run together, or one of them alone, until all have stopped. Main thread. */
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
   * Several have stopped, and only the last has woken us: what the others posted before may still be on its
   * way. (The messages of a single one come in order.)
   */
  onMeeting(): void;
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

  /** Resolves with why each has stopped. While main runs vCPU 0 itself, it does not return. */
  async run(): Promise<readonly VcpuStop[]> {
    const stopped = this.#open(this.threads);
    // From the last to the first: the others need not wait for a vCPU 0 that main runs itself for a start.
    for (const thread of [...this.threads].reverse()) thread.run();
    await stopped;
    return this.threads.map(({ index }) => ({ cpu: index, cause: this.#board.cause(index) }));
  }

  /** One instruction or a range; resolves with why it ended. */
  async step(cpu: number, request: StepRequest): Promise<StopCause> {
    const thread = this.threads[cpu];
    if (thread === undefined) throw new Error(`no vCPU ${cpu}`);
    const stopped = this.#open([thread]);
    thread.step(request);
    await stopped;
    return this.#board.cause(cpu);
  }

  /** Asks those that run to stop; their promise tells when they have, and why: they may be faster. */
  pause(): void {
    if (this.#finish !== undefined) this.#board.stop();
  }

  /** Resolves when these, which are to be let run now, have all stopped. */
  #open(threads: readonly VcpuThread[]): Promise<void> {
    if (this.#finish !== undefined) throw new Error('the vCPUs are running already');
    this.#events.onRun();
    this.#board.open(threads.map(({ index }) => index));
    return new Promise((resolve) => {
      this.#finish = () => {
        if (threads.length > 1) this.#events.onMeeting();
        resolve();
      };
    });
  }

  /** The board decides: a thread that died may also have reported that it was the last. */
  #stopped(): void {
    if (this.#finish === undefined || this.#board.isAnyOut) return;
    const finish = this.#finish;
    this.#finish = undefined;
    finish();
  }
}

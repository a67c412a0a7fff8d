/**
 * Main's side of a vCPU's thread: command it, wait for the answer.
 * Invariant: RUN or STEP is posted only while `stopped`, and each is answered by exactly one stop.
 */
import type { Worker } from 'node:worker_threads';
import { KICK_SIGNAL, signalThread } from '../kvm/libc.ts';
import type { KvmVcpu } from '../kvm/vcpu.ts';
import { Mailbox, REQUEST, type StepRequest } from './mailbox.ts';
import type { StopCause, VcpuAssignment, VcpuMessage } from './messages.ts';
import type { RunLoop } from './runLoop.ts';

export interface VcpuThreadEvents {
  /** Everything but stops. */
  onMessage(message: Exclude<VcpuMessage, { kind: 'stopped' | 'exited' }>): void;
  /** The thread died of a bug; a run or step that was under way ends with an error as well. */
  onCrash(error: Error): void;
}

export class VcpuThread {
  readonly index: number;
  readonly vcpu: KvmVcpu;
  readonly #mailbox: Mailbox;
  readonly #worker: Worker;
  /** Set until the first run: main can start the vCPU before the worker is there. */
  #ahead: RunLoop | undefined;
  #finish: ((cause: StopCause) => void) | undefined;

  /** `ahead`: what runs the vCPU on this thread until a worker that is still starting takes over. */
  constructor(
    worker: Worker,
    vcpu: KvmVcpu,
    assignment: VcpuAssignment,
    events: VcpuThreadEvents,
    ahead?: RunLoop,
  ) {
    this.index = vcpu.index;
    this.#ahead = ahead;
    this.vcpu = vcpu;
    this.#worker = worker;
    this.#mailbox = new Mailbox(assignment.mailbox);
    if (ahead !== undefined) this.#mailbox.lend();
    worker.on('error', (error) => {
      this.#stopped({
        kind: 'error',
        message: `internal error in the thread of vCPU ${this.index}: ${error.message}`,
      });
      events.onCrash(error);
    });
    worker.on('message', (message: VcpuMessage) => {
      if (message.kind === 'stopped') this.#stopped(message.cause);
      else if (message.kind !== 'exited') events.onMessage(message);
    });
    worker.postMessage(assignment);
  }

  get running(): boolean {
    return this.#finish !== undefined;
  }

  /** Lets the vCPU run; resolves with why it stopped again. */
  run(): Promise<StopCause> {
    const stop = this.#start();
    const cause = this.#runAhead();
    if (cause === undefined) this.#mailbox.post(REQUEST.RUN);
    else this.#stopped(cause);
    return stop;
  }

  /** One instruction or a range, with the other vCPUs stopped; resolves with why it ended. */
  step(request: StepRequest): Promise<StopCause> {
    const stop = this.#start();
    this.#giveBack();
    this.#mailbox.postStep(request);
    return stop;
  }

  /** Asks a running vCPU to stop; the promise of run() or step() tells when it has, and why: it may have had its own reason. */
  pause(): void {
    if (!this.running) return;
    this.#mailbox.post(REQUEST.PAUSE);
    this.#kick();
  }

  /** Ends the thread, running or not. */
  async end(): Promise<void> {
    this.#mailbox.post(REQUEST.EXIT);
    this.#giveBack();
    this.#kick();
    await this.#worker.terminate();
  }

  #runAhead(): StopCause | undefined {
    const cause = this.#ahead?.runAhead();
    this.#giveBack();
    return cause;
  }

  #giveBack(): void {
    if (this.#ahead === undefined) return;
    this.#ahead = undefined;
    this.#mailbox.giveBack();
  }

  #start(): Promise<StopCause> {
    if (this.running) throw new Error(`vCPU ${this.index} is running already`);
    return new Promise((resolve) => (this.#finish = resolve));
  }

  #stopped(cause: StopCause): void {
    const finish = this.#finish;
    this.#finish = undefined;
    finish?.(cause);
  }

  #kick(): void {
    this.vcpu.run.immediateExit = true;
    // A thread that did not start yet looks into its mailbox before it ever runs.
    if (this.#mailbox.threadId !== 0) signalThread(this.#mailbox.threadId, KICK_SIGNAL);
  }
}

/**
 * Main's side of a vCPU's thread: start, command, wait for the answer. The only spawner of vcpu.worker.ts.
 * Invariant: RUN or STEP is posted only while `stopped`, and each is answered by exactly one stop.
 */
import { constants } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { signalThread } from '../kvm/libc.ts';
import type { KvmVcpu } from '../kvm/vcpu.ts';
import { Mailbox, REQUEST, type StepRequest } from './mailbox.ts';
import type { StopCause, VcpuAssignment, VcpuMessage } from './messages.ts';

const KICK_SIGNAL = constants.signals.SIGUSR2;

/** A thread without a vCPU yet. Starting one takes longer than anything else at boot, so it is done first. */
export function spawnVcpuWorker(): Worker {
  // A kick is a signal that only has to interrupt KVM_RUN; without a handler it would end the process.
  if (process.listenerCount('SIGUSR2') === 0) process.on('SIGUSR2', () => undefined);
  return new Worker(join(import.meta.dirname, WORKER_FILE), {
    resourceLimits: { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64 },
  });
}

const WORKER_FILE = 'vcpu.worker.js';

export interface VcpuThreadEvents {
  /** Everything but stops. */
  onMessage(index: number, message: Exclude<VcpuMessage, { kind: 'stopped' | 'exited' }>): void;
  /** The vCPU stopped, by command or by itself. */
  onStop(index: number, cause: StopCause): void;
  /** The thread died of a bug. */
  onCrash(index: number, error: Error): void;
}

export class VcpuThread {
  readonly index: number;
  readonly vcpu: KvmVcpu;
  readonly #mailbox: Mailbox;
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  #running = false;
  #waiters: ((cause: StopCause) => void)[] = [];

  constructor(worker: Worker, vcpu: KvmVcpu, assignment: VcpuAssignment, events: VcpuThreadEvents) {
    this.index = vcpu.index;
    this.vcpu = vcpu;
    this.#worker = worker;
    this.#mailbox = new Mailbox(assignment.mailbox);
    this.#ended = new Promise((resolve) => worker.once('exit', () => resolve()));
    worker.on('error', (error) => events.onCrash(this.index, error));
    worker.on('message', (message: VcpuMessage) => this.#receive(message, events));
    worker.postMessage(assignment);
  }

  get running(): boolean {
    return this.#running;
  }

  resume(): void {
    this.#start();
    this.#mailbox.post(REQUEST.RUN);
  }

  /** Resolves with why the step ended. `onStop` is not called for it. */
  step(request: StepRequest): Promise<StopCause> {
    this.#start();
    const done = this.#nextStop();
    this.#mailbox.postStep(request);
    return done;
  }

  /** Resolves once the thread waits in its mailbox, with the cause, which may be its own and not our kick. */
  async pause(): Promise<StopCause | undefined> {
    if (!this.#running) return undefined;
    const stopped = this.#nextStop();
    this.#mailbox.post(REQUEST.PAUSE);
    this.#kick();
    return stopped;
  }

  /** Ends the thread, running or not. */
  async end(): Promise<void> {
    this.#mailbox.post(REQUEST.EXIT);
    this.#kick();
    await this.#worker.terminate();
    await this.#ended;
  }

  #start(): void {
    if (this.#running) throw new Error(`vCPU ${this.index} is running already`);
    this.#running = true;
  }

  #kick(): void {
    this.vcpu.run.immediateExit = true;
    // A thread that did not start yet sees the mailbox before it ever runs.
    if (this.#mailbox.threadId !== 0) signalThread(this.#mailbox.threadId, KICK_SIGNAL);
  }

  #nextStop(): Promise<StopCause> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  #receive(message: VcpuMessage, events: VcpuThreadEvents): void {
    if (message.kind === 'exited') return;
    if (message.kind !== 'stopped') return events.onMessage(this.index, message);
    this.#running = false;
    const waiters = this.#waiters;
    this.#waiters = [];
    if (waiters.length === 0) return events.onStop(this.index, message.cause);
    for (const resolve of waiters) resolve(message.cause);
  }
}

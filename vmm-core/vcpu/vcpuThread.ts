/**
 * Main's side of a vCPU's thread: command it, wait for the answer.
 * Invariant: RUN or STEP is posted only while `stopped`, and each is answered by exactly one stop.
 */
import { interruptEvery, KICK_SIGNAL, signalThread } from '../kvm/libc.ts';
import type { KvmVcpu } from '../kvm/vcpu.ts';
import { STOP, type StopCause } from '../protocol/stopCause.ts';
import { Mailbox, REQUEST, type StepRequest } from './mailbox.ts';
import type { VcpuAssignment, VcpuMessage } from './messages.ts';
import type { RunLoop } from './runLoop.ts';
import type { VcpuWorker } from './vcpuWorker.ts';

/**
 * While main runs a vCPU itself, its event loop turns this often: timers, signals, and the news that the
 * vCPU's thread has died.
 */
const TURN_MS = 100;

export interface VcpuThreadEvents {
  /** Everything but stops. */
  onMessage(message: Exclude<VcpuMessage, { kind: 'stopped' }>): void;
  /** The thread died of a bug; a run or step that was under way ends with an error as well. */
  onCrash(error: Error): void;
  /** On: the vCPU shall stop, and cannot wait for somebody to read what it prints. Off: it runs. */
  onHurry(on: boolean): void;
}

export class VcpuThread {
  readonly index: number;
  readonly vcpu: KvmVcpu;
  readonly #mailbox: Mailbox;
  readonly #events: VcpuThreadEvents;
  /** Set until the first run: main can start the vCPU before the worker is there. */
  #ahead: RunLoop | undefined;
  /** Asked for while main runs the vCPU. */
  #isPauseWanted = false;
  #failure: StopCause | undefined;
  #finish: ((cause: StopCause) => void) | undefined;

  /** `ahead`: what runs the vCPU on this thread until a worker that is still starting takes over. */
  constructor(
    worker: VcpuWorker,
    vcpu: KvmVcpu,
    assignment: VcpuAssignment,
    events: VcpuThreadEvents,
    ahead?: RunLoop,
  ) {
    this.index = vcpu.index;
    this.#ahead = ahead;
    this.vcpu = vcpu;
    this.#events = events;
    this.#mailbox = new Mailbox(assignment.mailbox);
    if (ahead !== undefined) this.#mailbox.lend();
    worker.onMessage = (message) => {
      if (message.kind === 'stopped') this.#stopped(message.cause);
      else events.onMessage(message);
    };
    worker.onFailure = (error) => this.#fail(error);
    worker.assign(assignment);
  }

  get running(): boolean {
    return this.#finish !== undefined;
  }

  /**
   * Lets the vCPU run; resolves with why it stopped again. When main runs it itself, it returns only when it
   * is the worker's.
   */
  run(): Promise<StopCause> {
    const stop = this.#start();
    if (this.#failure !== undefined) this.#stopped(this.#failure);
    else if (this.#ahead !== undefined) this.#runAhead(this.#ahead);
    else this.#mailbox.post(REQUEST.RUN);
    return stop;
  }

  /** One instruction or a range, with the other vCPUs stopped; resolves with why it ended. */
  step(request: StepRequest): Promise<StopCause> {
    const stop = this.#start();
    this.#giveBack();
    if (this.#failure !== undefined) this.#stopped(this.#failure);
    else this.#mailbox.postStep(request);
    return stop;
  }

  /**
   * Asks a running vCPU to stop; the promise of run() or step() tells when it has, and why: it may have had
   * its own reason.
   */
  pause(): void {
    if (!this.running) return;
    if (this.#ahead !== undefined) {
      this.#isPauseWanted = true; // seen before main enters the guest again
      return;
    }
    this.#mailbox.post(REQUEST.PAUSE);
    this.#kick();
  }

  #runAhead(ahead: RunLoop): void {
    interruptEvery(TURN_MS);
    const outcome = ahead.runAhead();
    interruptEvery(0);
    if (outcome === 'interrupted') {
      setImmediate(() => this.#goOn(ahead));
      return;
    }
    this.#giveBack();
    if (outcome === 'handOver') this.#mailbox.post(REQUEST.RUN);
    else this.#stopped(outcome);
  }

  /** The event loop has turned. */
  #goOn(ahead: RunLoop): void {
    if (!this.running || this.#ahead !== ahead) return; // the worker died, or the VM is over
    if (!this.#isPauseWanted) return this.#runAhead(ahead);
    this.#isPauseWanted = false;
    this.#giveBack();
    this.#stopped(ahead.pause());
  }

  #giveBack(): void {
    if (this.#ahead === undefined) return;
    this.#ahead = undefined;
    this.#mailbox.giveBack();
  }

  #start(): Promise<StopCause> {
    if (this.running) throw new Error(`vCPU ${this.index} is running already`);
    this.#events.onHurry(false);
    return new Promise((resolve) => (this.#finish = resolve));
  }

  #stopped(cause: StopCause): void {
    const finish = this.#finish;
    this.#finish = undefined;
    finish?.(cause);
  }

  #fail(error: Error): void {
    this.#failure = {
      kind: STOP.failure,
      message: `internal error in the thread of vCPU ${this.index}: ${error.message}`,
    };
    this.#ahead?.pause(); // the registers of now, for the report
    this.#giveBack();
    this.#stopped(this.#failure);
    this.#events.onCrash(error);
  }

  #kick(): void {
    this.#events.onHurry(true);
    this.vcpu.run.immediateExit = true;
    // A thread that did not start yet looks into its mailbox before it ever runs.
    if (this.#mailbox.threadId !== 0) signalThread(this.#mailbox.threadId, KICK_SIGNAL);
  }
}

/**
 * Main's side of a vCPU's thread: commands it. Each RUN or STEP is posted while the vCPU is stopped and the
 * stop board is open for it (vcpuSet.ts), and is answered by exactly one arrival there.
 */
import { interruptEvery } from '../kvm/libc.ts';
import type { KvmVcpu } from '../kvm/vcpu.ts';
import { STOP, type StopCause } from '../protocol/stopCause.ts';
import { Mailbox, REQUEST, type StepRequest } from './mailbox.ts';
import type { VcpuAssignment, VcpuMessage } from './messages.ts';
import type { RunLoop } from './runLoop.ts';
import type { StopBoard } from './stopBoard.ts';
import type { VcpuWorker } from './vcpuWorker.ts';

/**
 * While main runs a vCPU itself, its event loop turns this often: timers, signals, and the news that the
 * vCPU's thread has died.
 */
const TURN_MS = 100;

export interface VcpuThreadEvents {
  /** Everything but stops. */
  onMessage(message: Exclude<VcpuMessage, { kind: 'stopped' }>): void;
  /** The thread died of a bug; a run or step under way ends with an error as well. */
  onCrash(error: Error): void;
}

type Worker = Pick<VcpuWorker, 'onMessage' | 'onFailure' | 'assign'>;
type Ahead = Omit<RunLoop, 'serve' | 'hold' | 'raisePower'>;

export class VcpuThread {
  readonly index: number;
  readonly vcpu: KvmVcpu;
  /** All vCPUs that were running have stopped, this one last. */
  onStop: () => void = () => undefined;
  readonly #mailbox: Mailbox;
  readonly #board: StopBoard;
  readonly #events: VcpuThreadEvents;
  /** Set until the first run is over: main can start the vCPU before the worker is there. */
  #ahead: Ahead | undefined;
  #failure: StopCause | undefined;

  /** `ahead`: runs the vCPU on this thread until a worker that is still starting takes over. */
  constructor(
    worker: Worker,
    vcpu: KvmVcpu,
    assignment: VcpuAssignment,
    board: StopBoard,
    events: VcpuThreadEvents,
    ahead?: Ahead,
  ) {
    this.index = vcpu.index;
    this.vcpu = vcpu;
    this.#ahead = ahead;
    this.#board = board;
    this.#events = events;
    this.#mailbox = new Mailbox(assignment.mailbox);
    if (ahead !== undefined) this.#lend();
    worker.onMessage = (message) => {
      if (message.kind === 'stopped') this.onStop();
      else events.onMessage(message);
    };
    worker.onFailure = (error) => this.#fail(error);
    worker.assign(assignment);
  }

  /** Runs the vCPU. When main runs it itself, this returns only once the worker has it. */
  run(): void {
    if (this.#failure !== undefined) this.#arrive(this.#failure);
    else if (this.#ahead !== undefined) this.#runAhead(this.#ahead);
    else this.#mailbox.post(REQUEST.RUN);
  }

  /** One instruction or a range, with the other vCPUs stopped. A guest that main holds stays where it is. */
  step(request: StepRequest): void {
    if (this.#ahead?.waitHeld() === true) return this.#arrive(this.#ahead.pause());
    this.#giveBack();
    if (this.#failure !== undefined) this.#arrive(this.#failure);
    else this.#mailbox.postStep(request);
  }

  #runAhead(ahead: Ahead): void {
    interruptEvery(TURN_MS);
    const outcome = ahead.runAhead();
    interruptEvery(0);
    if (outcome === 'interrupted') {
      setImmediate(() => this.#goOn(ahead));
      return;
    }
    this.#giveBack();
    if (outcome === 'handOver') this.#mailbox.post(REQUEST.RUN);
    else this.#arrive(outcome);
  }

  /** The event loop has turned. */
  #goOn(ahead: Ahead): void {
    if (!this.#board.isOut(this.index) || this.#ahead !== ahead) return; // the worker died, or the VM is over
    if (!this.#board.isStopping) return this.#runAhead(ahead);
    if (!ahead.isHeld) this.#giveBack();
    this.#arrive(ahead.pause());
  }

  /** Before the vCPU's thread is given it. Until it is handed over, stopping the vCPU interrupts us. */
  #lend(): void {
    this.#mailbox.lend();
    this.#board.announce(this.index, process.pid); // the main thread's id
  }

  #giveBack(): void {
    if (this.#ahead === undefined) return;
    this.#ahead = undefined;
    this.#mailbox.giveBack();
  }

  /** For a vCPU that its own thread does not run. */
  #arrive(cause: StopCause): void {
    if (this.#board.arrive(this.index, cause)) this.onStop();
  }

  #fail(error: Error): void {
    this.#failure = {
      kind: STOP.failure,
      message: `internal error in the thread of vCPU ${this.index}: ${error.message}`,
    };
    this.#ahead?.pause(); // the current registers, for the report
    this.#giveBack();
    if (this.#board.isOut(this.index)) {
      this.#board.stop(); // the thread may have died before it kicked
      this.#arrive(this.#failure);
    } else this.onStop(); // or before it told us
    this.#events.onCrash(error);
  }
}

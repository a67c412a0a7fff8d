/**
 * Where the vCPUs of a VM meet when they stop, in memory shared by all threads. Main opens it for those that
 * are about to run (all of them, or one that steps). The first to stop by itself kicks the others from its
 * own thread; each leaves its cause and arrives; the last to arrive wakes main: one message per stop.
 *
 *   i32 STOPPING  1: all that are out are to come back
 *   i32 COUNT     how many are out: set running, and not back yet
 *   then for each vCPU:
 *   i32 OUT       1: it is out
 *   i32 THREAD    kernel id of the thread that runs it, 0 until that thread can be interrupted
 *   i32 LENGTH    of its cause, in bytes
 *   its cause, as JSON text
 *
 * No stop is lost:
 *  - A vCPU clears immediate_exit, then looks at STOPPING (`fence` in between). A stop sets STOPPING, then
 *    kicks, which sets immediate_exit. If the vCPU clears what the kick has set, it sees STOPPING.
 *  - A thread announces itself, then looks at STOPPING; a stop sets STOPPING, then reads the thread's id. If
 *    the stop finds no thread to interrupt, the thread sees STOPPING before it enters the guest.
 * No kick is late: the kicker is out itself until it has kicked, or is main, so the next run cannot have
 * begun.
 */
import { STOP, type StopCause } from '../protocol/stopCause.ts';

/**
 * Makes the thread that runs a vCPU check the board (kick.ts). `threadId`: 0 when there is none to
 * interrupt.
 */
export type Kick = (cpu: number, threadId: number) => void;

const STOPPING = 0;
const COUNT = 1;
const HEADER_WORDS = 16; // a cache line of its own
const OUT = 0;
const THREAD = 1;
const LENGTH = 2;
const SLOT_WORDS = 1024;
const CAUSE_WORD = 16;
const CAUSE_BYTES = 4 * (SLOT_WORDS - CAUSE_WORD);
/** As JSON a character takes at most six bytes. */
const MAX_MESSAGE_LENGTH = 600;

export class StopBoard {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #kick: Kick;
  readonly #cpus: number;
  /** The room for a vCPU's cause, made when it is first needed: few threads need more than their own. */
  readonly #causes: Buffer[] = [];

  static allocate(cpus: number): SharedArrayBuffer {
    return new SharedArrayBuffer(4 * (HEADER_WORDS + cpus * SLOT_WORDS));
  }

  constructor(buffer: SharedArrayBuffer, kick: Kick) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
    this.#kick = kick;
    this.#cpus = (this.#words.length - HEADER_WORDS) / SLOT_WORDS;
  }

  /** Main, while none is out: these are about to run. Called before they are told. */
  open(cpus: readonly number[]): void {
    for (const cpu of cpus) Atomics.store(this.#words, slot(cpu) + OUT, 1);
    Atomics.store(this.#words, COUNT, cpus.length);
    Atomics.store(this.#words, STOPPING, 0);
  }

  /** Any thread; cheap: checked after every exit. */
  get isStopping(): boolean {
    return Atomics.load(this.#words, STOPPING) !== 0;
  }

  /** After immediate_exit was cleared and before `isStopping`: a load alone may overtake that store (x86). */
  fence(): void {
    Atomics.add(this.#words, STOPPING, 0);
  }

  /** `cpu` is run by this thread from here on, and the thread can be interrupted. */
  announce(cpu: number, threadId: number): void {
    Atomics.store(this.#words, slot(cpu) + THREAD, threadId);
  }

  /** Main: all that are out are to stop. */
  stop(): void {
    Atomics.store(this.#words, STOPPING, 1);
    this.#kickOthers(undefined);
  }

  /**
   * The thread of `cpu`, which stops by itself: all others must stop too. If another was first, that one
   * kicks.
   */
  stopOthers(cpu: number): void {
    if (Atomics.exchange(this.#words, STOPPING, 1) === 0) this.#kickOthers(cpu);
  }

  /** `cpu` has stopped, its registers can be read. True for the last: it wakes main. */
  arrive(cpu: number, cause: StopCause): boolean {
    this.stopOthers(cpu);
    this.#writeCause(cpu, cause);
    // In this order: once the count is 0, main may open the board again.
    Atomics.store(this.#words, slot(cpu) + OUT, 0);
    return Atomics.sub(this.#words, COUNT, 1) === 1;
  }

  /** See `announce`. */
  threadOf(cpu: number): number {
    return Atomics.load(this.#words, slot(cpu) + THREAD);
  }

  isOut(cpu: number): boolean {
    return Atomics.load(this.#words, slot(cpu) + OUT) !== 0;
  }

  get isAnyOut(): boolean {
    return Atomics.load(this.#words, COUNT) !== 0;
  }

  /** Main, after the last has arrived: why `cpu`, which was out, stopped. */
  cause(cpu: number): StopCause {
    const length = Atomics.load(this.#words, slot(cpu) + LENGTH);
    return JSON.parse(this.#room(cpu).toString('utf8', 0, length)) as StopCause;
  }

  #kickOthers(self: number | undefined): void {
    for (let cpu = 0; cpu < this.#cpus; cpu++) {
      if (cpu !== self && this.isOut(cpu)) this.#kick(cpu, this.threadOf(cpu));
    }
  }

  #writeCause(cpu: number, cause: StopCause): void {
    const length = this.#room(cpu).write(JSON.stringify(fitting(cause)));
    Atomics.store(this.#words, slot(cpu) + LENGTH, length);
  }

  #room(cpu: number): Buffer {
    if (cpu >= this.#cpus) throw new RangeError(`no vCPU ${cpu} on the stop board`);
    return (this.#causes[cpu] ??= Buffer.from(this.buffer, 4 * (slot(cpu) + CAUSE_WORD), CAUSE_BYTES));
  }
}

function slot(cpu: number): number {
  return HEADER_WORDS + cpu * SLOT_WORDS;
}

/** A failure's message is the only part of a cause without a bound. */
function fitting(cause: StopCause): StopCause {
  if (cause.kind !== STOP.failure || cause.message.length <= MAX_MESSAGE_LENGTH) return cause;
  return { ...cause, message: `${cause.message.slice(0, MAX_MESSAGE_LENGTH)}…` };
}

/**
 * How the main thread commands a vCPU's thread. One mailbox per vCPU, in shared memory. Every RUN or STEP is
 * answered by exactly one arrival at the stop board (stopBoard.ts), which also carries the request to stop.
 *
 *   byte  0  i32  REQUEST    what the vCPU is to do; written by main
 *   byte  4  i32  ISSUED     how many RUN and STEP main has posted
 *   byte  8  i32  FLAGS      STEP_* of a STEP
 *   byte 12  i32  LENT       1: main runs the vCPU until its thread is there; 2: the thread is, and wants it;
 *                            0: it has it
 *   byte 16  u64  START      a STEP goes on while START <= linear RIP < END
 *   byte 24  u64  END
 */
export const REQUEST = { RUN: 1, STEP: 2 } as const;
export type Request = (typeof REQUEST)[keyof typeof REQUEST];

/** Let interrupts be taken during a STEP. */
export const STEP_INTERRUPTS = 1 << 0;
/** Report a call as soon as it is in the callee, so that main can run it to its return. */
export const STEP_OVER = 1 << 1;
/** Step one instruction off a breakpoint: planted int3s are ignored. */
export const STEP_SILENT = 1 << 2;

const WORD_REQUEST = 0;
const WORD_ISSUED = 1;
const WORD_FLAGS = 2;
const WORD_LENT = 3;
const QUAD_START = 2;
const QUAD_END = 3;

export interface StepRequest {
  readonly flags: number;
  readonly start: bigint;
  readonly end: bigint;
}

export class Mailbox {
  static readonly sizeBytes = 32;

  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #quads: BigUint64Array;
  /** vCPU thread: ISSUED as of the last request it took. */
  #taken = 0;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(Mailbox.sizeBytes)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
    this.#quads = new BigUint64Array(buffer);
  }

  /** Main thread, before the vCPU's thread is given its vCPU: main runs it at first (VcpuThread). */
  lend(): void {
    Atomics.store(this.#words, WORD_LENT, 1);
  }

  /** Main thread, while it runs the vCPU: the vCPU's thread is there. */
  get wanted(): boolean {
    return Atomics.load(this.#words, WORD_LENT) === 2;
  }

  /** Main thread: the vCPU now belongs to its own thread for good. */
  giveBack(): void {
    Atomics.store(this.#words, WORD_LENT, 0);
    Atomics.notify(this.#words, WORD_LENT);
  }

  /** vCPU thread, at start, once `main` can be interrupted: sleeps until the vCPU is ours. */
  claim(interruptMain: () => void): void {
    if (Atomics.compareExchange(this.#words, WORD_LENT, 1, 2) !== 1) return;
    interruptMain();
    Atomics.wait(this.#words, WORD_LENT, 2);
  }

  /** Main thread, vCPU stopped. */
  post(request: Request): void {
    Atomics.store(this.#words, WORD_REQUEST, request);
    Atomics.add(this.#words, WORD_ISSUED, 1);
    Atomics.notify(this.#words, WORD_ISSUED);
  }

  /** Main thread, vCPU stopped. */
  postStep(step: StepRequest): void {
    this.#words[WORD_FLAGS] = step.flags;
    this.#quads[QUAD_START] = step.start;
    this.#quads[QUAD_END] = step.end;
    this.post(REQUEST.STEP); // after its parameters
  }

  /** vCPU thread, after it saw STEP. */
  readStep(): StepRequest {
    return {
      flags: this.#words[WORD_FLAGS] ?? 0,
      start: this.#quads[QUAD_START] ?? 0n,
      end: this.#quads[QUAD_END] ?? 0n,
    };
  }

  /** vCPU thread: sleeps until main has posted something it has not answered yet. */
  waitForRequest(): Request {
    while (Atomics.load(this.#words, WORD_ISSUED) === this.#taken) {
      Atomics.wait(this.#words, WORD_ISSUED, this.#taken);
    }
    this.#taken = Atomics.load(this.#words, WORD_ISSUED);
    return Atomics.load(this.#words, WORD_REQUEST) as Request;
  }
}

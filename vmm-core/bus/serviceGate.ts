/**
 * Between the registers of a device and the thread that serves its data: who changes what the service works
 * with (a driver's reset, on a vCPU's thread) leaves it in the registers and asks here; the service's thread
 * does it when nothing is under way. Whoever needs it done may wait, without the device's lock: the service
 * takes that.
 *
 * Layout: the words below; zeroed memory is a gate where nothing was asked for. ASKED and DONE count.
 */
const ASKED = 0;
const DONE = 1; // as far as the service has followed
const IS_BROKEN = 2; // 1: the service's thread has ended, nobody waits any more

export class ServiceGate {
  /** Of shared memory. */
  static readonly WORDS = 3;

  readonly #words: Int32Array;
  readonly #wake: () => void;

  /**
   * `wake` has the service's thread look at the gate soon. When it is this thread, before `wake` returns: who
   * serves a device may reset it too.
   */
  constructor(words: Int32Array, wake: () => void) {
    this.#words = words;
    this.#wake = wake;
  }

  /** Any thread, after the registers say what is to be done. */
  ask(): void {
    Atomics.add(this.#words, ASKED, 1);
    this.#wake();
  }

  /** How often has been asked. To be given to `wait`, or by the service's thread to `follow`. */
  get asked(): number {
    return Atomics.load(this.#words, ASKED);
  }

  /** True once `asked` is done; false after `timeoutMs`. */
  wait(asked: number, timeoutMs = Infinity): boolean {
    const end = performance.now() + timeoutMs;
    for (let done = this.#done; !this.isBroken && isBefore(done, asked); done = this.#done) {
      const leftMs = end - performance.now();
      if (leftMs <= 0) return false;
      Atomics.wait(this.#words, DONE, done, leftMs);
    }
    return true;
  }

  /** The service's thread has ended: whoever waits goes on, as does who comes later. */
  break(): void {
    Atomics.store(this.#words, IS_BROKEN, 1);
    Atomics.sub(this.#words, DONE, 1); // so that no wait begins on the old value
    Atomics.notify(this.#words, DONE);
  }

  get isBroken(): boolean {
    return Atomics.load(this.#words, IS_BROKEN) === 1;
  }

  /** The service's thread: there is something to do. */
  get isAsked(): boolean {
    return this.#done !== this.asked;
  }

  /** The service's thread: all of `asked`, as read before it looked what that is, is done. */
  follow(asked: number): void {
    Atomics.store(this.#words, DONE, asked);
    Atomics.notify(this.#words, DONE);
  }

  get #done(): number {
    return Atomics.load(this.#words, DONE);
  }
}

/** Of counters that wrap. */
function isBefore(count: number, other: number): boolean {
  return ((count - other) | 0) < 0;
}

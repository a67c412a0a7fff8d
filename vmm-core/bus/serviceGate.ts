/**
 * Between the registers of a device and the thread that serves its data: whoever changes what the service
 * works with (a driver's reset, on a vCPU's thread) holds it first, and so waits until nothing is under way.
 * The asking side must not hold the device's lock meanwhile: the service may need it to finish.
 *
 * Layout: the words below; zeroed memory is a gate that is open. ASKED and DONE count changes, odd is held.
 */
const ASKED = 0;
const DONE = 1; // as far as the service has followed
const RESETS = 2; // how often the service has to forget all it knew
const ASKER = 3; // TAKEN while somebody holds it: one at a time
const IS_BROKEN = 4; // 1: the service's thread has died, nobody waits any more

/** How soon who waits for its turn looks whether it is waited for itself. */
const LOOK_AGAIN_MS = 1;

const FREE = 0;
const TAKEN = 1;

export class ServiceGate {
  /** Of shared memory. */
  static readonly WORDS = 5;

  readonly #words: Int32Array;
  readonly #wake: () => void;
  #seenResets: number;

  /**
   * `wake` has the service's thread look at `asked` soon. When it is this thread, before `wake` returns: who
   * serves a device may reset it too.
   */
  constructor(words: Int32Array, wake: () => void) {
    this.#words = words;
    this.#wake = wake;
    this.#seenResets = Atomics.load(words, RESETS);
  }

  /**
   * Any thread: returns once the service is paused and has nothing under way. `release` must follow. Others
   * who ask wait until then.
   */
  hold(): void {
    while (Atomics.exchange(this.#words, ASKER, TAKEN) === TAKEN && !this.#isBroken) {
      this.#wake(); // the other may wait for this very thread, or be about to
      Atomics.wait(this.#words, ASKER, TAKEN, LOOK_AGAIN_MS);
    }
    const ticket = this.#ask();
    for (let done = this.#done; done !== ticket && !this.#isBroken; done = this.#done)
      Atomics.wait(this.#words, DONE, done);
  }

  /** After `hold`. */
  release(): void {
    this.#ask();
    Atomics.store(this.#words, ASKER, FREE);
    Atomics.notify(this.#words, ASKER, 1);
  }

  /** The service begins anew, as after power-on. While it is held, or known to be quiet otherwise. */
  reset(): void {
    Atomics.add(this.#words, RESETS, 1);
  }

  /** The service's thread has died: whoever waits goes on, as does who comes later. */
  break(): void {
    Atomics.store(this.#words, IS_BROKEN, 1);
    Atomics.add(this.#words, DONE, 2); // so that no wait begins on the old value
    Atomics.notify(this.#words, DONE);
    Atomics.store(this.#words, ASKER, FREE);
    Atomics.notify(this.#words, ASKER);
  }

  /** The service's thread: what has been asked for, to be given to `follow`. See `asksToHold`. */
  get asked(): number {
    return Atomics.load(this.#words, ASKED);
  }

  /** The service's thread, once: whether it has been reset since this was asked last. */
  takeReset(): boolean {
    const resets = Atomics.load(this.#words, RESETS);
    if (resets === this.#seenResets) return false;
    this.#seenResets = resets;
    return true;
  }

  /** The service's thread: `asked` is done. */
  follow(asked: number): void {
    if (this.#done === asked) return;
    Atomics.store(this.#words, DONE, asked);
    Atomics.notify(this.#words, DONE);
  }

  #ask(): number {
    const ticket = (Atomics.add(this.#words, ASKED, 1) + 1) | 0;
    this.#wake();
    return ticket;
  }

  get #done(): number {
    return Atomics.load(this.#words, DONE);
  }

  get #isBroken(): boolean {
    return Atomics.load(this.#words, IS_BROKEN) === 1;
  }
}

/** Of ServiceGate.asked: the service shall be quiet. */
export function asksToHold(asked: number): boolean {
  return (asked & 1) !== 0;
}

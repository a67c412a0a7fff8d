/** Bounded waiting: a test that waits for what never comes says what it was, instead of hanging. */

/** Long enough for a loaded machine; never reached by a test that passes. */
export const PATIENCE_MS = 20_000;

/** `promise`, or a rejection that names `what` after `timeoutMs`. */
export async function within<T>(
  promise: Promise<T>,
  what: string | (() => string),
  timeoutMs = PATIENCE_MS,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`waited ${timeoutMs / 1000} s for ${typeof what === 'string' ? what : what()}`));
    }, timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Things that arrive one by one and are taken one by one, in either order. */
export class Arrivals<T> {
  readonly #what: string;
  readonly #waiting: T[] = [];
  #wake: (() => void) | undefined;

  /** `what`: for messages, "a stop". */
  constructor(what: string) {
    this.#what = what;
  }

  put(value: T): void {
    this.#waiting.push(value);
    this.#wake?.();
  }

  /** The next one; rejects when none comes in time. One taker at a time. */
  async take(timeoutMs = PATIENCE_MS): Promise<T> {
    if (this.#waiting.length === 0) {
      const arrival = new Promise<void>((resolve) => (this.#wake = resolve));
      await within(arrival, this.#what, timeoutMs);
    }
    return this.#waiting.shift() as T;
  }

  /** What arrived and was not taken; forgets it. */
  takeAll(): T[] {
    return this.#waiting.splice(0);
  }
}

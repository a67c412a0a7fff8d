/**
 * DAP's numbers for things. Never reused in a session, so that a late request with an old number cannot hit a
 * new thing.
 */

/** The numbers of one kind of thing, however many maps there are. */
interface Numbers {
  next: number;
}

export class HandleMap<T> {
  readonly #values = new Map<number, T>();
  readonly #numbers: Numbers;

  constructor(numbers: Numbers = { next: 1 }) {
    this.#numbers = numbers;
  }

  /** An empty map that never shares a number with this one, now or later. */
  successor(): HandleMap<T> {
    return new HandleMap(this.#numbers);
  }

  add(value: T): number {
    const handle = this.#numbers.next++;
    this.#values.set(handle, value);
    return handle;
  }

  get(handle: number): T | undefined {
    return this.#values.get(handle);
  }
}

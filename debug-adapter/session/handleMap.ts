/**
 * Numbers that stand for things in DAP. Never reused in a session, so that a late request with an old one
 * cannot hit a new thing.
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

  /** An empty map whose numbers are none of this one's, also of those still to come. */
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

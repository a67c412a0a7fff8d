/** Numbers that stand for things in DAP. Never reused in a session, so that a late request with an old one cannot hit a new thing. */

export class HandleMap<T> {
  readonly #values = new Map<number, T>();
  #next = 1;

  add(value: T): number {
    const handle = this.#next++;
    this.#values.set(handle, value);
    return handle;
  }

  get(handle: number): T | undefined {
    return this.#values.get(handle);
  }

  clear(): void {
    this.#values.clear();
  }
}

/** What is kept when there is too much of it. */
const KEPT = 0.9;

interface Entry<V> {
  readonly value: V;
  readonly weight: number;
  /** Larger numbers were used later. */
  used: number;
}

/**
 * A map that forgets what was used least recently once the weights of its entries add up to more than its
 * capacity.
 */
export class LruCache<K, V> {
  readonly #entries = new Map<K, Entry<V>>();
  readonly #capacity: number;
  #weight = 0;
  #uses = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get(key: K): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    entry.used = ++this.#uses;
    return entry.value;
  }

  set(key: K, value: V, weight: number): void {
    this.#delete(key);
    this.#entries.set(key, { value, weight, used: ++this.#uses });
    this.#weight += weight;
    if (this.#weight > this.#capacity) this.#trim(key);
  }

  /**
   * Makes room for several entries at once: the order of use is worked out only here, so a use costs next to
   * nothing.
   */
  #trim(newest: K): void {
    const byUse = [...this.#entries].sort(([, a], [, b]) => a.used - b.used);
    for (const [key] of byUse) {
      if (this.#weight <= this.#capacity * KEPT || key === newest) break;
      this.#delete(key);
    }
  }

  #delete(key: K): void {
    this.#weight -= this.#entries.get(key)?.weight ?? 0;
    this.#entries.delete(key);
  }
}

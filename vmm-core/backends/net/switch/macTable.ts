/**
 * Which of a switch's ports an Ethernet address was seen at last. A port may fill its own share only, so that
 * one that makes up addresses takes none away from others.
 */
const MAX_PER_PORT = 256;
/** As Linux's bridge ages them (IEEE 802.1Q Table 8-6: 300 s). */
const AGE_MS = 300_000;
const TWO_32 = 2 ** 32;

interface Entry {
  port: number;
  seenMs: number;
}

export class MacTable {
  readonly #entries = new Map<number, Entry>();
  readonly #counts = new Map<number, number>();

  /** `key`: macKey of a source address that is no group's. */
  learn(key: number, port: number, nowMs: number): void {
    const known = this.#entries.get(key);
    if (known?.port === port) {
      known.seenMs = nowMs;
      return;
    }
    if (known !== undefined) this.#forget(key, known);
    if ((this.#counts.get(port) ?? 0) >= MAX_PER_PORT) this.#forgetOldest(port);
    this.#entries.set(key, { port, seenMs: nowMs });
    this.#counts.set(port, (this.#counts.get(port) ?? 0) + 1);
  }

  /** Undefined: nobody knows. */
  portOf(key: number, nowMs: number): number | undefined {
    const known = this.#entries.get(key);
    if (known === undefined || nowMs - known.seenMs <= AGE_MS) return known?.port;
    this.#forget(key, known);
    return undefined;
  }

  removePort(port: number): void {
    for (const [key, it] of this.#entries) if (it.port === port) this.#forget(key, it);
  }

  /** Keys. */
  of(port: number): readonly number[] {
    return [...this.#entries].filter(([, it]) => it.port === port).map(([key]) => key);
  }

  #forget(key: number, { port }: Entry): void {
    this.#entries.delete(key);
    this.#counts.set(port, (this.#counts.get(port) ?? 1) - 1);
  }

  /** A map keeps the order in which addresses came. */
  #forgetOldest(port: number): void {
    for (const [key, it] of this.#entries) if (it.port === port) return this.#forget(key, it);
  }
}

/** Six bytes of a frame as one number. */
export function macKey(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  const low = ((bytes[at + 2] ?? 0) << 24) | ((bytes[at + 3] ?? 0) << 16) | ((bytes[at + 4] ?? 0) << 8);
  return high * TWO_32 + ((low | (bytes[at + 5] ?? 0)) >>> 0);
}

export function macText(key: number): string {
  const digits = key.toString(16).padStart(12, '0');
  return digits.replaceAll(/..(?!$)/g, '$&:');
}

/** Which guest interface has which address: a fixed pool, so that no number of requests makes it grow. */

/** An offer that nobody took is free again after that. */
const OFFER_MS = 60_000;
/** An address that its client has found in use (RFC 2131 §3.1.5). */
const DECLINED_MS = 600_000;

export interface Lease {
  /** 48 bits; -1: free, or declined. */
  mac: number;
  state: 'free' | 'offered' | 'bound' | 'declined';
  untilMs: number;
}

export class Leases {
  readonly #pool: readonly Lease[];
  readonly #first: number;
  readonly #leaseMs: number;

  /** `first`: the pool's first address; the device's own interface gets it unless another took it before. */
  constructor(first: number, count: number, leaseSeconds: number) {
    this.#first = first;
    this.#leaseMs = leaseSeconds * 1000;
    this.#pool = Array.from({ length: count }, () => ({ mac: -1, state: 'free', untilMs: 0 }));
  }

  /** What a client would get: what it has, what it wants, or the next that is free. */
  choose(mac: number, wanted: number | undefined, nowMs: number): number | undefined {
    const own = this.#pool.findIndex((it) => it.mac === mac);
    if (own !== -1) return this.#first + own;
    if (wanted !== undefined && this.canHave(mac, wanted, nowMs)) return wanted;
    const free = this.#pool.findIndex((it) => isFree(it, nowMs));
    return free === -1 ? undefined : this.#first + free;
  }

  canHave(mac: number, address: number, nowMs: number): boolean {
    const lease = this.#pool[address - this.#first];
    return lease !== undefined && (lease.mac === mac || isFree(lease, nowMs));
  }

  offer(mac: number, address: number, nowMs: number): void {
    const lease = this.#pool[address - this.#first];
    if (lease === undefined || lease.state === 'bound') return;
    lease.mac = mac;
    lease.state = 'offered';
    lease.untilMs = nowMs + OFFER_MS;
  }

  bind(mac: number, address: number, nowMs: number): void {
    this.release(mac);
    const lease = this.#pool[address - this.#first];
    if (lease === undefined) return;
    lease.mac = mac;
    lease.state = 'bound';
    lease.untilMs = nowMs + this.#leaseMs;
  }

  release(mac: number): void {
    for (const lease of this.#pool) {
      if (lease.mac !== mac) continue;
      lease.mac = -1;
      lease.state = 'free';
    }
  }

  decline(mac: number, address: number, nowMs: number): void {
    const lease = this.#pool[address - this.#first];
    if (lease?.mac !== mac) return;
    lease.mac = -1;
    lease.state = 'declined';
    lease.untilMs = nowMs + DECLINED_MS;
  }

  /** The address of an interface; undefined: it has none of us. */
  addressOf(mac: number): number | undefined {
    const index = this.#pool.findIndex((it) => it.mac === mac && it.state === 'bound');
    return index === -1 ? undefined : this.#first + index;
  }

  /** Somebody has it already, for good. */
  withhold(address: number): void {
    const lease = this.#pool[address - this.#first];
    if (lease === undefined) return;
    lease.state = 'declined';
    lease.untilMs = Infinity;
  }

  forEachBound(visit: (address: number, mac: number, untilMs: number) => void): void {
    for (const [index, { mac, state, untilMs }] of this.#pool.entries())
      if (state === 'bound') visit(this.#first + index, mac, untilMs);
  }

  clear(): void {
    for (const lease of this.#pool) {
      lease.mac = -1;
      lease.state = 'free';
    }
  }
}

function isFree(lease: Lease, nowMs: number): boolean {
  return lease.state === 'free' || lease.untilMs <= nowMs;
}

/**
 * Resets that the guest has yet to be sent: a ring of the connections, or of packets without one, that they
 * are for. It has room for those of all connections and, beyond that, for some packets; where there are
 * more than LIMIT, no packets are taken from the guest (§5.10.6.1.2), so that it cannot overflow.
 */
import { MAX_CONNECTIONS } from './vsockState.ts';

/** Packets that are taken while the guest does not receive. */
const LIMIT = 64;
const ROOM = MAX_CONNECTIONS + 2 * LIMIT;

export class Refusals {
  readonly #type = new Uint16Array(ROOM);
  readonly #cid = new Uint32Array(ROOM);
  readonly #cidHigh = new Uint32Array(ROOM);
  readonly #hostPort = new Uint32Array(ROOM);
  readonly #guestPort = new Uint32Array(ROOM);
  #first = 0;
  #count = 0;

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** The guest shall wait with more. */
  get isMuch(): boolean {
    return this.#count >= LIMIT;
  }

  /** `cid` is what the guest believes it is connected to. */
  add(type: number, cid: number, cidHigh: number, hostPort: number, guestPort: number): void {
    if (this.#count === ROOM) throw new RangeError('more resets than there are connections');
    const at = (this.#first + this.#count++) % ROOM;
    this.#type[at] = type;
    this.#cid[at] = cid;
    this.#cidHigh[at] = cidHigh;
    this.#hostPort[at] = hostPort;
    this.#guestPort[at] = guestPort;
  }

  // The first.

  get type(): number {
    return this.#type[this.#first] ?? 0;
  }

  get cid(): number {
    return this.#cid[this.#first] ?? 0;
  }

  get cidHigh(): number {
    return this.#cidHigh[this.#first] ?? 0;
  }

  get hostPort(): number {
    return this.#hostPort[this.#first] ?? 0;
  }

  get guestPort(): number {
    return this.#guestPort[this.#first] ?? 0;
  }

  drop(): void {
    this.#first = (this.#first + 1) % ROOM;
    this.#count--;
  }

  clear(): void {
    this.#count = 0;
  }
}

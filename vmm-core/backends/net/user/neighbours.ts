/**
 * Which Ethernet address the guest's IP addresses have, learned of what the guest says itself. Bounded: a
 * guest may claim any number of addresses, and then only forgets its own.
 */
import { isInPrefix, sameBytes, type UserNetwork } from './addresses.ts';

const MAX_NEIGHBOURS = 64;

export interface Neighbour {
  readonly address: Uint8Array;
  readonly mac: Uint8Array;
}

export class Neighbours {
  readonly #network: UserNetwork;
  readonly #forwards: readonly Uint8Array[];
  readonly #table: Neighbour[] = [];
  /** Which is overwritten next when the table is full. */
  #next = 0;

  /** `forwards`: what guest forwards have of the virtual network is ours, too. */
  constructor(network: UserNetwork, forwards: readonly Uint8Array[] = []) {
    this.#network = network;
    this.#forwards = forwards;
  }

  /** Copies both. Ours and those of other networks are nobody's to claim. */
  learn(address: Uint8Array, mac: Uint8Array): void {
    if (!this.isGuestAddress(address) || ((mac[0] ?? 0) & 1) !== 0) return;
    const known = this.#find(address);
    if (known !== undefined) {
      if (!sameBytes(known.mac, mac)) known.mac.set(mac);
      return;
    }
    const neighbour = { address: address.slice(), mac: mac.slice() };
    if (this.#table.length < MAX_NEIGHBOURS) {
      this.#table.push(neighbour);
      return;
    }
    this.#table[this.#next] = neighbour;
    this.#next = (this.#next + 1) % MAX_NEIGHBOURS;
  }

  macOf(address: Uint8Array): Uint8Array | undefined {
    return this.#find(address)?.mac;
  }

  /** One that a guest may have: of the virtual network, and not ours. */
  isGuestAddress(address: Uint8Array): boolean {
    const { ipv4, ipv6 } = this.#network;
    if (this.isOurs(address)) return false;
    if (address.length === 4)
      return (
        isInPrefix(address, ipv4.network, ipv4.bits) &&
        !sameBytes(address, ipv4.broadcast) &&
        !sameBytes(address, ipv4.network)
      );
    return isInPrefix(address, ipv6.network, 64) || isInPrefix(address, ipv6.linkLocal, 64);
  }

  isOurs(address: Uint8Array): boolean {
    const { ipv4, ipv6 } = this.#network;
    for (const it of this.#forwards) if (sameBytes(it, address)) return true;
    if (address.length === 4) return sameBytes(address, ipv4.host) || sameBytes(address, ipv4.dns);
    return (
      sameBytes(address, ipv6.host) || sameBytes(address, ipv6.dns) || sameBytes(address, ipv6.linkLocal)
    );
  }

  get all(): readonly Neighbour[] {
    return this.#table;
  }

  clear(): void {
    this.#table.length = 0;
    this.#next = 0;
  }

  #find(address: Uint8Array): Neighbour | undefined {
    for (const it of this.#table) if (sameBytes(it.address, address)) return it;
    return undefined;
  }
}

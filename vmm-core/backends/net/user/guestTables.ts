/** What is known of the guest: its addresses, by DHCP and by what it says of itself. */
import type { GuestPort } from '../netLink.ts';
import { FIRST_GUEST, GUESTS, isInside, type UserNetwork } from './addresses.ts';
import type { GuestForward } from './destinations.ts';
import { addressNumber, macNumber, u32Bytes } from './dhcp.ts';
import { Leases } from './leases.ts';
import { Neighbours } from './neighbours.ts';

export const LEASE_SECONDS = 86_400;

export class GuestTables {
  readonly #port: GuestPort;
  readonly #network: UserNetwork;
  readonly neighbours: Neighbours;
  readonly leases: Leases;
  #guestAddress: Uint8Array;

  constructor(network: UserNetwork, guestForwards: readonly GuestForward[], port: GuestPort) {
    this.#port = port;
    this.#network = network;
    const inside = guestForwards.map((it) => it.address).filter((it) => isInside(it, network));
    this.neighbours = new Neighbours(network, inside);
    this.leases = new Leases(addressNumber(network.ipv4.network, 0) + FIRST_GUEST, GUESTS, LEASE_SECONDS);
    for (const it of inside) if (it.length === 4) this.leases.withhold(addressNumber(it, 0));
    this.#guestAddress = network.ipv4.firstGuest;
  }

  /** Where forwards go that name none: what DHCP gave the interface, else the first it would get. */
  get guestAddress(): Uint8Array {
    return this.#guestAddress;
  }

  /** Whoever has not been heard of is the interface itself. */
  macOf(address: Uint8Array): Uint8Array {
    return this.neighbours.macOf(address) ?? this.#port.mac;
  }

  /** DHCP may have given or taken addresses. */
  leasesChanged(): void {
    const own = this.leases.addressOf(macNumber(this.#port.mac, 0));
    this.#guestAddress = own === undefined ? this.#network.ipv4.firstGuest : u32Bytes(own);
  }
}

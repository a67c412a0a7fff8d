/**
 * Where a guest's connection or datagram really goes. The virtual host's address leads to the host's
 * loopback, the virtual name server's to the host's resolver; addresses that mean the host itself wherever
 * they are used must not be a way around that.
 */
import { LOOPBACK4, LOOPBACK6, type SocketAddress } from '../../../bus/socketAddress.ts';
import { isInside, sameBytes, type UserNetwork } from './addresses.ts';

/** Addresses of a destination are valid until the next question. `ignored`: nobody is there to answer. */
export type Destination = SocketAddress | 'refused' | 'filtered' | 'ignored';

/** From an address of the virtual network to the host (NetworkConfig.guestForwards). TCP. */
export interface GuestForward {
  readonly address: Uint8Array;
  readonly port: number;
  readonly target: SocketAddress;
}

export const DNS_PORT = 53;

export class Destinations {
  readonly #network: UserNetwork;
  readonly #guestForwards: readonly GuestForward[];
  readonly #isRestricted: boolean;
  readonly #nameserver: () => SocketAddress;
  readonly #ipv4 = { family: 'ipv4' as const, address: new Uint8Array(4), port: 0 };
  readonly #ipv6 = { family: 'ipv6' as const, address: new Uint8Array(16), port: 0 };

  constructor(
    network: UserNetwork,
    guestForwards: readonly GuestForward[],
    isRestricted: boolean,
    nameserver: () => SocketAddress,
  ) {
    this.#network = network;
    this.#guestForwards = guestForwards;
    this.#isRestricted = isRestricted;
    this.#nameserver = nameserver;
  }

  ofTcp(address: Uint8Array, port: number): Destination {
    for (const it of this.#guestForwards)
      if (it.port === port && sameBytes(it.address, address)) return it.target;
    return this.of(address, port);
  }

  of(address: Uint8Array, port: number): Destination {
    const { ipv4, ipv6 } = this.#network;
    const isIpv4 = address.length === 4;
    if (isIpv4 ? !isUnicast4(address) : !isUnicast6(address)) return 'ignored';
    if (this.#isRestricted) return 'filtered';
    if (sameBytes(address, isIpv4 ? ipv4.host : ipv6.host))
      return this.#at(isIpv4 ? LOOPBACK4 : LOOPBACK6, port);
    if (sameBytes(address, isIpv4 ? ipv4.dns : ipv6.dns))
      return port === DNS_PORT ? this.#nameserver() : 'refused';
    if (!isInside(address, this.#network) && !isLinkLocal(address)) return this.#at(address, port);
    // The rest of the virtual network is nobody, or another interface of the guest.
    return this.#guestForwards.some((it) => sameBytes(it.address, address)) ? 'refused' : 'ignored';
  }

  #at(address: Uint8Array, port: number): SocketAddress {
    const result = address.length === 4 ? this.#ipv4 : this.#ipv6;
    result.address.set(address);
    result.port = port;
    return result;
  }
}

/** An IPv4 address, where a socket of both families has it in an IPv6 one (RFC 4291 §2.5.5.2). */
export function unmapped(address: Uint8Array): Uint8Array {
  const isMapped =
    address.length === 16 &&
    address[10] === 0xff &&
    address[11] === 0xff &&
    address.subarray(0, 10).every((byte) => byte === 0);
  return isMapped ? address.subarray(12) : address;
}

export function isLoopback(address: Uint8Array): boolean {
  return address.length === 4 ? address[0] === 127 : sameBytes(address, LOOPBACK6);
}

function isUnicast4(address: Uint8Array): boolean {
  const first = address[0] ?? 0;
  return first !== 0 && first !== 127 && first < 224;
}

/** None of ::/8: unspecified, loopback, and IPv4 in other clothes. Nor a group. */
function isUnicast6(address: Uint8Array): boolean {
  return address[0] !== 0 && address[0] !== 0xff;
}

function isLinkLocal(address: Uint8Array): boolean {
  return address.length === 16 && address[0] === 0xfe && ((address[1] ?? 0) & 0xc0) === 0x80;
}

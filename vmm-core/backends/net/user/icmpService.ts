/** ICMP of the guest: echoes to our addresses and to the outside, and what routers and neighbours say. */
import {
  ICMP6_ECHO_REPLY,
  ICMP6_ECHO_REQUEST,
  ICMP_CODE,
  ICMP_ECHO,
  ICMP_ECHOREPLY,
  ICMP_HEADER_BYTES,
  ICMP_TYPE,
  ND_HOP_LIMIT,
  ND_NEIGHBOR_ADVERT,
  ND_ROUTER_SOLICIT,
} from '../../../abi/icmp.ts';
import { IPPROTO_ICMP, IPPROTO_ICMPV6 } from '../../../abi/inet.ts';
import { ETHER_ADDR_LEN, ETHER_SHOST } from '../../../abi/packets.ts';
import { ADVERT_MS, type AdvertSettings, ALL_NODES, ALL_NODES_MAC, answerNd, routerAdvert } from './ndp.ts';
import type { Neighbours } from './neighbours.ts';
import type { IpPacket } from './packet/ipPacket.ts';
import { Pings } from './pings.ts';
import type { UserHost } from './userHost.ts';
import type { UserOpened } from './userMessages.ts';

const MAX_ND_BYTES = 1500;

export class IcmpService {
  readonly pings: Pings;
  readonly #host: UserHost;
  readonly #neighbours: Neighbours;
  readonly #settings: AdvertSettings;
  /** Infinity until a guest has asked for a router. */
  #advertMs = Infinity;

  constructor(host: UserHost, neighbours: Neighbours, opened: UserOpened) {
    this.#host = host;
    this.#neighbours = neighbours;
    this.pings = new Pings(host);
    this.#settings = {
      dns: opened.isRestricted ? undefined : opened.network.ipv6.dns,
      search: opened.search,
    };
  }

  /** A message of the guest, `lengthBytes` of it in `request`, its checksum right. */
  onMessage(packet: IpPacket, lengthBytes: number): void {
    if (lengthBytes < ICMP_HEADER_BYTES) return;
    const type = this.#host.request.view.getUint8(ICMP_TYPE);
    if (type === (packet.isIpv6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO)) return this.#onEcho(packet, lengthBytes);
    if (packet.isIpv6 && type >= ND_ROUTER_SOLICIT && type <= ND_NEIGHBOR_ADVERT)
      this.#onNeighbour(packet, lengthBytes);
  }

  onTimer(nowMs: number): number {
    if (this.#advertMs <= nowMs) {
      this.#advertMs = nowMs + ADVERT_MS;
      this.#sendNd(
        routerAdvert(this.#host.network, this.#settings),
        this.#host.network.ipv6.linkLocal,
        undefined,
      );
    }
    return Math.min(this.#advertMs, this.pings.onTimer(nowMs));
  }

  reset(): void {
    this.#advertMs = Infinity;
    this.pings.reset();
  }

  #onEcho(packet: IpPacket, lengthBytes: number): void {
    const { destinations, errors, request } = this.#host;
    if (request.view.getUint8(ICMP_CODE) !== 0) return;
    const to = packet.destination();
    if (this.#neighbours.isOurs(to)) return this.#echo(packet, to, lengthBytes);
    const destination = destinations.of(to, 0);
    if (destination === 'ignored') return;
    if (typeof destination === 'string') return errors.about(packet, 'filtered');
    if (packet.hopLimit <= 1) return errors.about(packet, 'expired');
    if (this.pings.send(packet, destination, lengthBytes)) return;
    errors.about(packet, 'filtered');
    this.#host.troubleOnce(
      'this host lets its users not ping, so the guest cannot: sysctl net.ipv4.ping_group_range="0 2147483647" allows it',
    );
  }

  #echo(packet: IpPacket, from: Uint8Array, lengthBytes: number): void {
    const { request, reply, sender } = this.#host;
    reply.bytes.set(request.bytes.subarray(0, lengthBytes));
    reply.view.setUint8(ICMP_TYPE, packet.isIpv6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY);
    const route = { mac: macOf(packet), to: packet.source(), from };
    sender.send(route, packet.isIpv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, reply, lengthBytes);
  }

  #onNeighbour(packet: IpPacket, lengthBytes: number): void {
    const { network, request } = this.#host;
    if (lengthBytes > MAX_ND_BYTES) return;
    const bytes = request.bytes.slice(0, lengthBytes);
    const message = { source: packet.source(), hopLimit: packet.hopLimit, bytes };
    const answer = answerNd(message, network, this.#settings, this.#neighbours);
    if (answer === undefined) return;
    if (bytes[ICMP_TYPE] === ND_ROUTER_SOLICIT) {
      this.#advertMs = this.#host.nowMs() + ADVERT_MS;
      this.#host.port.arm(ADVERT_MS);
    }
    const to = answer.to === undefined ? undefined : { address: answer.to, mac: macOf(packet) };
    this.#sendNd(answer.bytes, answer.from, to);
  }

  #sendNd(
    bytes: Uint8Array,
    from: Uint8Array,
    to: { readonly address: Uint8Array; readonly mac: Uint8Array } | undefined,
  ): void {
    const { reply, sender } = this.#host;
    reply.bytes.set(bytes);
    const route = {
      mac: to?.mac ?? ALL_NODES_MAC,
      to: to?.address ?? ALL_NODES,
      from,
      hopLimit: ND_HOP_LIMIT,
    };
    sender.send(route, IPPROTO_ICMPV6, reply, bytes.length);
  }
}

function macOf({ head }: IpPacket): Uint8Array {
  return head.slice(ETHER_SHOST, ETHER_SHOST + ETHER_ADDR_LEN);
}

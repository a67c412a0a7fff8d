/**
 * The router of a private link with IPv6: says in the host's name which network the guest is in, so that the
 * host need not have a program that does (RFC 4861 §6.2). All else of IPv6 is the host's kernel. On the I/O
 * thread.
 */
import { ICMP_CHECKSUM, ND_HOP_LIMIT } from '../../../abi/icmp.ts';
import { IPPROTO_ICMPV6 } from '../../../abi/inet.ts';
import { ETHER_HDR_LEN, ETHER_TYPE, ETHERTYPE_IPV6 } from '../../../abi/packets.ts';
import type { GuestFrame, GuestPort } from '../netLink.ts';
import { IpSender } from '../user/ipSender.ts';
import {
  ADVERT_MS,
  type Advertised,
  ALL_NODES,
  ALL_NODES_MAC,
  isRouterSolicit,
  routerAdvert,
} from '../user/ndp.ts';
import { PacketBuffer } from '../user/packetBuffer.ts';
import { IpPacket } from '../user/packet/ipPacket.ts';
import { TransportChecksum } from '../user/packet/transportChecksum.ts';
import type { Answerer } from './tapLink.ts';

/** Of the host. */
export interface LocalEnd6 {
  readonly address: Uint8Array;
  /** Of its network. */
  readonly bits: number;
  /** fe80::…, where advertisements come from (§4.2). */
  readonly linkLocal: Uint8Array;
}

/** More than any that asks for a router sends. */
const MAX_SOLICIT_BYTES = 256;

export class LocalRouter implements Answerer {
  readonly #port: GuestPort;
  readonly #end: LocalEnd6;
  readonly #sender: IpSender;
  readonly #advert: Uint8Array;
  readonly #payload = new PacketBuffer();
  readonly #packet = new IpPacket();
  readonly #checksum = new TransportChecksum();
  /** When the guest is told again; Infinity until it has asked. */
  #dueMs = Infinity;

  constructor(port: GuestPort, end: LocalEnd6, hostMac: Uint8Array) {
    const { mtu } = port;
    const advertised: Advertised = { mac: hostMac, mtu, ipv6: { network: networkOf(end), bits: end.bits } };
    this.#port = port;
    this.#end = end;
    this.#sender = new IpSender(port, advertised);
    this.#advert = routerAdvert(advertised, { dns: undefined, search: [] });
  }

  answer(frame: GuestFrame): boolean {
    if (!this.#isSolicit(frame)) return false;
    this.#send();
    return true;
  }

  onTimer(): void {
    const leftMs = this.#dueMs - performance.now();
    if (leftMs <= 0) this.#send();
    else if (leftMs !== Infinity) this.#port.arm(leftMs);
  }

  reset(): void {
    this.#dueMs = Infinity;
  }

  #isSolicit(frame: GuestFrame): boolean {
    const { head, headBytes, lengthBytes } = frame;
    if (headBytes < ETHER_HDR_LEN || lengthBytes > MAX_SOLICIT_BYTES) return false;
    if ((((head[ETHER_TYPE] ?? 0) << 8) | (head[ETHER_TYPE + 1] ?? 0)) !== ETHERTYPE_IPV6) return false;
    const packet = this.#packet;
    if (packet.read(frame) !== 'ip' || packet.isFragment || packet.protocol !== IPPROTO_ICMPV6) return false;
    // All of so short a frame is in the private copy.
    const { payloadAt, payloadBytes, hopLimit } = packet;
    const bytes = head.subarray(payloadAt, payloadAt + payloadBytes);
    if (!isRouterSolicit({ source: packet.source(), hopLimit, bytes })) return false;
    return this.#checksum.holds(frame, packet, ICMP_CHECKSUM);
  }

  /** The guest that has no room for it asks again. */
  #send(): void {
    this.#dueMs = performance.now() + ADVERT_MS;
    this.#port.arm(ADVERT_MS);
    const { linkLocal } = this.#end;
    this.#payload.bytes.set(this.#advert);
    const route = { mac: ALL_NODES_MAC, to: ALL_NODES, from: linkLocal, hopLimit: ND_HOP_LIMIT };
    this.#sender.send(route, IPPROTO_ICMPV6, this.#payload, this.#advert.length);
  }
}

function networkOf({ address, bits }: LocalEnd6): Uint8Array {
  return address.map((byte, i) => (8 * i < bits ? byte : 0)); // whole bytes
}

/**
 * Sends IP packets of ours to the guest: UDP, ICMP, neighbour discovery. Completes checksums unless the guest
 * does, and cuts what is larger than the MTU into fragments.
 */
import {
  ETHER_HDR_LEN,
  IP6_FRAG_BYTES,
  IP6_FRAG_IP6F_IDENT,
  IP6_FRAG_IP6F_NXT,
  IP6_FRAG_IP6F_OFFLG,
  IP6_HDR_BYTES,
  IP_MF,
  IPHDR_BYTES,
  IPHDR_CHECK,
  IPHDR_FRAG_OFF,
  IPHDR_ID,
  IPPROTO_FRAGMENT,
  UDPHDR_BYTES,
  UDPHDR_CHECK,
  UDPHDR_DEST,
  UDPHDR_SOURCE,
} from '../../../abi/packets.ts';
import { IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_UDP } from '../../../abi/inet.ts';
import { ICMP_CHECKSUM } from '../../../abi/icmp.ts';
import {
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_NONE,
  VIRTIO_NET_HDR_GSO_UDP,
} from '../../../abi/virtioNetHdr.ts';
import { type GuestPort, MAX_FRAME_BYTES, type Offload } from '../netLink.ts';
import type { UserNetwork } from './addresses.ts';
import { checksumOf, fold, sumOf } from './packet/checksum.ts';
import { PacketHeaders } from './packet/packetHeaders.ts';
import type { PacketBuffer } from './packetBuffer.ts';

/** Where a packet goes, and from where it seems to come. */
export interface IpRoute {
  readonly mac: Uint8Array;
  readonly to: Uint8Array;
  readonly from: Uint8Array;
  readonly hopLimit?: number;
}

const FRAGMENT_UNIT = 8;

export class IpSender {
  readonly #port: GuestPort;
  readonly #network: Pick<UserNetwork, 'mac' | 'mtu'>;
  readonly #headers = new PacketHeaders();
  readonly #offload: Offload = { ...NO_OFFLOAD };
  #identification = 0;

  constructor(port: GuestPort, network: Pick<UserNetwork, 'mac' | 'mtu'>) {
    this.#port = port;
    this.#network = network;
  }

  /** Whether the guest has room for a packet of common size. */
  get hasRoom(): boolean {
    return this.#port.reserve(ETHER_HDR_LEN + Math.min(this.#network.mtu, COMMON_BYTES));
  }

  /** A whole frame, from its Ethernet header on. */
  sendFrame(frame: Uint8Array): void {
    if (!this.#port.reserve(frame.length)) return this.#port.drop('noRoom');
    this.#port.write(0, frame);
    this.#port.commit(frame.length, NO_OFFLOAD);
  }

  /**
   * `payload` begins with the transport's header, complete but for the checksum; false: the guest has no room
   * for it, which is counted.
   */
  send(route: IpRoute, protocol: number, payload: PacketBuffer, lengthBytes: number): boolean {
    const { mac, from, to, hopLimit } = route;
    const isIpv6 = from.length === 16;
    const headerBytes = isIpv6 ? IP6_HDR_BYTES : IPHDR_BYTES;
    const headers = this.#headers;
    headers.ethernet(mac, this.#network.mac);
    headers.ip(from, to, protocol, lengthBytes, hopLimit);
    const isWhole = headerBytes + lengthBytes <= this.#network.mtu;
    // An IPv6 header and as much data as it may have are more than a frame.
    const isFrame = headers.end + lengthBytes <= MAX_FRAME_BYTES;
    const isUfo = !isWhole && isFrame && protocol === IPPROTO_UDP && this.#port.offloads.ufo;
    const isPartial = protocol === IPPROTO_UDP && this.#port.offloads.csum && (isWhole || isUfo);
    this.#putChecksum(protocol, payload, lengthBytes, isPartial);
    if (!isWhole && !isUfo) return this.#sendFragments(route, protocol, payload, lengthBytes);
    this.#describe(isPartial, isUfo, headerBytes);
    headers.ports(payload.view.getUint16(UDPHDR_SOURCE), payload.view.getUint16(UDPHDR_DEST));
    return this.#commit(payload, 0, lengthBytes, this.#offload);
  }

  #putChecksum(protocol: number, { view }: PacketBuffer, lengthBytes: number, isPartial: boolean): void {
    const at = checksumAt(protocol);
    view.setUint16(at, 0);
    const pseudo = protocol === IPPROTO_ICMP ? 0 : this.#headers.pseudoSum(lengthBytes);
    if (isPartial) return view.setUint16(at, pseudo);
    const checksum = checksumOf(fold(pseudo + sumOf(view, 0, lengthBytes)));
    view.setUint16(at, checksum === 0 && protocol !== IPPROTO_ICMP ? 0xffff : checksum);
  }

  #describe(isPartial: boolean, isUfo: boolean, headerBytes: number): void {
    const offload = this.#offload;
    offload.flags = isPartial ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0;
    offload.csumStart = isPartial ? ETHER_HDR_LEN + headerBytes : 0;
    offload.csumOffset = isPartial ? UDPHDR_CHECK : 0;
    offload.gsoType = isUfo ? VIRTIO_NET_HDR_GSO_UDP : VIRTIO_NET_HDR_GSO_NONE;
    offload.gsoSize = isUfo ? fragmentBytes(this.#network.mtu - headerBytes) : 0;
    offload.hdrLen = isUfo ? ETHER_HDR_LEN + headerBytes + UDPHDR_BYTES : 0;
  }

  #commit(payload: PacketBuffer, from: number, to: number, offload: Readonly<Offload>): boolean {
    const port = this.#port;
    const headerBytes = this.#headers.end;
    const frameBytes = headerBytes + to - from;
    if (!port.reserve(frameBytes, port.pairOf(this.#headers.bytes))) {
      port.drop('noRoom');
      return false;
    }
    port.write(0, this.#headers.bytes.subarray(0, headerBytes));
    if (to > from) port.write(headerBytes, payload.bytes.subarray(from, to));
    port.commit(frameBytes, offload);
    return true;
  }

  #sendFragments(route: IpRoute, protocol: number, payload: PacketBuffer, lengthBytes: number): boolean {
    const { from, to, hopLimit } = route;
    const headers = this.#headers;
    const ipAt = headers.ipAt;
    const isIpv6 = from.length === 16;
    const overheadBytes = isIpv6 ? IP6_HDR_BYTES + IP6_FRAG_BYTES : IPHDR_BYTES;
    const step = fragmentBytes(this.#network.mtu - overheadBytes);
    this.#identification = (this.#identification + 1) & 0xffff;
    for (let at = 0; at < lengthBytes; at += step) {
      const end = Math.min(lengthBytes, at + step);
      headers.end = ipAt;
      if (isIpv6) {
        headers.ip(from, to, IPPROTO_FRAGMENT, IP6_FRAG_BYTES + end - at, hopLimit);
        this.#putFragmentHeader(protocol, at, end < lengthBytes);
      } else {
        headers.ip(from, to, protocol, end - at, hopLimit);
        this.#markFragment(ipAt, at, end < lengthBytes);
      }
      if (!this.#commit(payload, at, end, NO_OFFLOAD)) return false;
    }
    return true;
  }

  /** RFC 791 §3.1 */
  #markFragment(ipAt: number, offset: number, hasMore: boolean): void {
    const { view, end } = this.#headers;
    view.setUint16(ipAt + IPHDR_ID, this.#identification);
    view.setUint16(ipAt + IPHDR_FRAG_OFF, offset / FRAGMENT_UNIT + (hasMore ? IP_MF : 0));
    view.setUint16(ipAt + IPHDR_CHECK, 0);
    view.setUint16(ipAt + IPHDR_CHECK, checksumOf(sumOf(view, ipAt, end)));
  }

  /** RFC 8200 §4.5 */
  #putFragmentHeader(protocol: number, offset: number, hasMore: boolean): void {
    const { view, end } = this.#headers;
    view.setUint16(end + IP6_FRAG_IP6F_NXT, protocol << 8);
    view.setUint16(end + IP6_FRAG_IP6F_OFFLG, offset | (hasMore ? 1 : 0));
    view.setUint32(end + IP6_FRAG_IP6F_IDENT, this.#identification);
    this.#headers.end = end + IP6_FRAG_BYTES;
  }
}

export const NO_OFFLOAD: Readonly<Offload> = {
  flags: 0,
  gsoType: 0,
  hdrLen: 0,
  gsoSize: 0,
  csumStart: 0,
  csumOffset: 0,
};

const COMMON_BYTES = 1500;
const MAX_LENGTH_BYTES = 0xffff;

/** Of a UDP datagram: what its length says, and IPv4's header counts, too (RFC 791 §3.1, RFC 8200 §3). */
export function mostData(address: Uint8Array): number {
  return MAX_LENGTH_BYTES - UDPHDR_BYTES - (address.length === 4 ? IPHDR_BYTES : 0);
}

function checksumAt(protocol: number): number {
  switch (protocol) {
    case IPPROTO_UDP:
      return UDPHDR_CHECK;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
      return ICMP_CHECKSUM;
    default:
      throw new RangeError(`no checksum is known for IP protocol ${protocol}`);
  }
}

function fragmentBytes(roomBytes: number): number {
  return Math.max(FRAGMENT_UNIT, roomBytes - (roomBytes % FRAGMENT_UNIT));
}

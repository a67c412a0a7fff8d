/**
 * Writes the headers of a packet for the guest into one buffer that is used again for each. The caller names
 * its parts from the outside in (`ethernet`, `ip`, then `tcp` or `udp`); each goes behind the one before.
 */
import {
  ETHER_DHOST,
  ETHER_HDR_LEN,
  ETHER_SHOST,
  ETHER_TYPE,
  ETHERTYPE_IP,
  ETHERTYPE_IPV6,
  IP6_HDR_BYTES,
  IP6_HDR_IP6_DST,
  IP6_HDR_IP6_HLIM,
  IP6_HDR_IP6_NXT,
  IP6_HDR_IP6_PLEN,
  IP6_HDR_IP6_SRC,
  IP_DF,
  IPHDR_BYTES,
  IPHDR_CHECK,
  IPHDR_DADDR,
  IPHDR_FRAG_OFF,
  IPHDR_ID,
  IPHDR_PROTOCOL,
  IPHDR_SADDR,
  IPHDR_TOT_LEN,
  IPHDR_TTL,
  TCPHDR_ACK_SEQ,
  TCPHDR_BYTES,
  TCPHDR_CHECK,
  TCPHDR_DEST,
  TCPHDR_SEQ,
  TCPHDR_SOURCE,
  TCPHDR_URG_PTR,
  TCPHDR_WINDOW,
  UDPHDR_BYTES,
  UDPHDR_CHECK,
  UDPHDR_DEST,
  UDPHDR_LEN,
  UDPHDR_SOURCE,
} from '../../../../abi/packets.ts';
import { checksumOf, pseudoHeaderSum, sumOf } from './checksum.ts';

/** One hop on, as all that the host's own network sends. */
const HOP_LIMIT = 64;
const ROOM_BYTES = 256;

export class PacketHeaders {
  readonly bytes = new Uint8Array(ROOM_BYTES);
  readonly view = new DataView(this.bytes.buffer);
  /** What is written so far: where the next part goes. */
  end = 0;
  /** Where the IP header, resp. that of TCP or UDP, begins. */
  ipAt = 0;
  transportAt = 0;
  #addressesAt = 0;
  #addressesBytes = 0;
  #protocol = 0;

  /** `type`: ETHERTYPE_…, which `ip` writes itself. */
  ethernet(destination: Uint8Array, source: Uint8Array, type = ETHERTYPE_IP): void {
    this.bytes.set(destination, ETHER_DHOST);
    this.bytes.set(source, ETHER_SHOST);
    this.view.setUint16(ETHER_TYPE, type);
    this.end = ETHER_HDR_LEN;
  }

  /** IPv4 or IPv6 by the addresses' length; the payload follows. */
  ip(
    source: Uint8Array,
    destination: Uint8Array,
    protocol: number,
    payloadBytes: number,
    hopLimit = HOP_LIMIT,
  ): void {
    this.ipAt = this.end;
    this.#protocol = protocol;
    if (source.length === 4) this.#ipv4(source, destination, payloadBytes, hopLimit);
    else this.#ipv6(source, destination, payloadBytes, hopLimit);
    this.#addressesBytes = 2 * source.length;
    this.transportAt = this.end;
  }

  /** What a transport header will begin with, which comes behind: with it a frame's flow is known. */
  ports(source: number, destination: number): void {
    this.view.setUint16(this.end + TCPHDR_SOURCE, source); // as UDP has them
    this.view.setUint16(this.end + TCPHDR_DEST, destination);
  }

  /** The checksum is 0: `transportSum` is what it is made of. The caller writes options, behind it. */
  tcp(
    sourcePort: number,
    destinationPort: number,
    sequence: number,
    acknowledgement: number,
    flags: number,
    window: number,
    optionBytes = 0,
  ): void {
    const { view, end } = this;
    view.setUint16(end + TCPHDR_SOURCE, sourcePort);
    view.setUint16(end + TCPHDR_DEST, destinationPort);
    view.setInt32(end + TCPHDR_SEQ, sequence);
    view.setInt32(end + TCPHDR_ACK_SEQ, acknowledgement);
    view.setUint16(end + 12, ((TCPHDR_BYTES + optionBytes) << 10) | flags);
    view.setUint16(end + TCPHDR_WINDOW, window);
    view.setUint16(end + TCPHDR_CHECK, 0);
    view.setUint16(end + TCPHDR_URG_PTR, 0);
    this.end = end + TCPHDR_BYTES + optionBytes;
  }

  /** See tcp. */
  udp(sourcePort: number, destinationPort: number, dataBytes: number): void {
    const { view, end } = this;
    view.setUint16(end + UDPHDR_SOURCE, sourcePort);
    view.setUint16(end + UDPHDR_DEST, destinationPort);
    view.setUint16(end + UDPHDR_LEN, UDPHDR_BYTES + dataBytes);
    view.setUint16(end + UDPHDR_CHECK, 0);
    this.end = end + UDPHDR_BYTES;
  }

  /**
   * Of the pseudo-header, for the transport header and what follows it. Folded, and not complemented, it is
   * what a packet with NEEDS_CSUM has in place of its checksum.
   */
  pseudoSum(payloadBytes: number): number {
    return pseudoHeaderSum(this.view, this.#addressesAt, this.#addressesBytes, this.#protocol, payloadBytes);
  }

  /** Of the transport header, as written. Its length is even, so that the data's sum may be added. */
  transportSum(): number {
    return sumOf(this.view, this.transportAt, this.end);
  }

  /** `checkAt`: in the transport header. */
  setChecksum(checkAt: number, value: number): void {
    this.view.setUint16(this.transportAt + checkAt, value);
  }

  #ipv4(source: Uint8Array, destination: Uint8Array, payloadBytes: number, hopLimit: number): void {
    const { view, bytes, ipAt } = this;
    view.setUint16(ETHER_TYPE, ETHERTYPE_IP);
    view.setUint16(ipAt, 0x4500);
    view.setUint16(ipAt + IPHDR_TOT_LEN, IPHDR_BYTES + payloadBytes);
    // RFC 6864 §4.1: a packet that is not to be fragmented needs no identification.
    view.setUint16(ipAt + IPHDR_ID, 0);
    view.setUint16(ipAt + IPHDR_FRAG_OFF, IP_DF);
    view.setUint8(ipAt + IPHDR_TTL, hopLimit);
    view.setUint8(ipAt + IPHDR_PROTOCOL, this.#protocol);
    view.setUint16(ipAt + IPHDR_CHECK, 0);
    bytes.set(source, ipAt + IPHDR_SADDR);
    bytes.set(destination, ipAt + IPHDR_DADDR);
    this.end = ipAt + IPHDR_BYTES;
    this.#addressesAt = ipAt + IPHDR_SADDR;
    view.setUint16(ipAt + IPHDR_CHECK, checksumOf(sumOf(view, ipAt, this.end)));
  }

  #ipv6(source: Uint8Array, destination: Uint8Array, payloadBytes: number, hopLimit: number): void {
    const { view, bytes, ipAt } = this;
    view.setUint16(ETHER_TYPE, ETHERTYPE_IPV6);
    view.setUint32(ipAt, 0x6000_0000);
    view.setUint16(ipAt + IP6_HDR_IP6_PLEN, payloadBytes);
    view.setUint8(ipAt + IP6_HDR_IP6_NXT, this.#protocol);
    view.setUint8(ipAt + IP6_HDR_IP6_HLIM, hopLimit);
    bytes.set(source, ipAt + IP6_HDR_IP6_SRC);
    bytes.set(destination, ipAt + IP6_HDR_IP6_DST);
    this.end = ipAt + IP6_HDR_BYTES;
    this.#addressesAt = ipAt + IP6_HDR_IP6_SRC;
  }
}

/**
 * Reads the headers of a frame that the guest has sent, from the device's private copy. Whoever is asked has
 * one object and reads each packet into it: nothing is allocated per packet. RFC 791, RFC 8200. What is not
 * said here (routers' options, flow labels) is of no interest at the last hop.
 */
import {
  ETHER_HDR_LEN,
  ETHER_TYPE,
  ETHERTYPE_IP,
  ETHERTYPE_IPV6,
  IP6_FRAG_BYTES,
  IP6_FRAG_IP6F_IDENT,
  IP6_FRAG_IP6F_NXT,
  IP6_FRAG_IP6F_OFFLG,
  IP6_HDR_BYTES,
  IP6_HDR_IP6_HLIM,
  IP6_HDR_IP6_NXT,
  IP6_HDR_IP6_PLEN,
  IP6_HDR_IP6_SRC,
  IP_DF,
  IP_MF,
  IP_OFFMASK,
  IPHDR_BYTES,
  IPHDR_FRAG_OFF,
  IPHDR_ID,
  IPHDR_PROTOCOL,
  IPHDR_SADDR,
  IPHDR_TOS,
  IPHDR_TOT_LEN,
  IPHDR_TTL,
  IPPROTO_AH,
  IPPROTO_DSTOPTS,
  IPPROTO_FRAGMENT,
  IPPROTO_HOPOPTS,
  IPPROTO_ROUTING,
} from '../../../../abi/packets.ts';
import type { GuestFrame } from '../../netLink.ts';
import { GOOD_SUM, sumOf } from './checksum.ts';

/** `other`: neither IPv4 nor IPv6. `malformed`: what no correct sender sends; it is to be dropped. */
export type FrameVerdict = 'ip' | 'other' | 'malformed';

/** More than any sender has use for. */
const MAX_EXTENSIONS = 8;

export class IpPacket {
  /** `frame.head`, and a view of it. Offsets count from its first byte, which is the frame's. */
  head: Uint8Array = new Uint8Array(0);
  view = new DataView(this.head.buffer);
  /** How much of the frame is in `head`. */
  headBytes = 0;
  /** Of the Ethernet header, also of frames of other types. */
  etherType = 0;

  isIpv6 = false;
  /** Where the IP header begins. */
  headerAt = ETHER_HDR_LEN;
  /** Where the addresses are: source, then destination, of so many bytes each. */
  sourceAt = 0;
  destinationAt = 0;
  addressBytes = 4;
  /** Type of service or traffic class, with the ECN bits. */
  trafficClass = 0;
  hopLimit = 0;
  /** Of the payload, behind extension headers: IPPROTO_… */
  protocol = 0;
  /** Of IPv6: the byte that says so, in the last header before. */
  protocolAt = 0;
  /** The payload, as the IP header has it: the frame holds all of it, and may be longer (§4.1.4 padding). */
  payloadAt = 0;
  payloadBytes = 0;

  /** It is whole, and routers may not cut it (RFC 791 §3.1); those of IPv6 never do (RFC 8200 §5). */
  dontFragment = false;
  /** A part of a packet, of which this is the place and these bytes are the payload. */
  isFragment = false;
  hasMoreFragments = false;
  fragmentOffset = 0;
  identification = 0;
  /** The IPv6 fragment's extension header; 0: none. */
  fragmentHeaderAt = 0;

  read(frame: GuestFrame): FrameVerdict {
    if (frame.head !== this.head) {
      this.head = frame.head;
      this.view = new DataView(frame.head.buffer, frame.head.byteOffset, frame.head.byteLength);
    }
    this.headBytes = frame.headBytes;
    if (frame.headBytes < ETHER_HDR_LEN) return 'malformed';
    this.etherType = this.view.getUint16(ETHER_TYPE);
    this.isFragment = false;
    this.hasMoreFragments = false;
    this.fragmentOffset = 0;
    this.fragmentHeaderAt = 0;
    if (this.etherType === ETHERTYPE_IP) return this.#readIpv4(frame.lengthBytes) ? 'ip' : 'malformed';
    if (this.etherType === ETHERTYPE_IPV6) return this.#readIpv6(frame.lengthBytes) ? 'ip' : 'malformed';
    return 'other';
  }

  /** A copy, for those who keep it. */
  source(): Uint8Array {
    return this.head.slice(this.sourceAt, this.sourceAt + this.addressBytes);
  }

  destination(): Uint8Array {
    return this.head.slice(this.destinationAt, this.destinationAt + this.addressBytes);
  }

  isFrom(address: Uint8Array): boolean {
    return this.#hasAt(this.sourceAt, address);
  }

  isTo(address: Uint8Array): boolean {
    return this.#hasAt(this.destinationAt, address);
  }

  #hasAt(at: number, address: Uint8Array): boolean {
    if (address.length !== this.addressBytes) return false;
    for (let i = 0; i < address.length; i++) if (this.head[at + i] !== address[i]) return false;
    return true;
  }

  #readIpv4(frameBytes: number): boolean {
    const { view } = this;
    const at = ETHER_HDR_LEN;
    if (this.headBytes < at + IPHDR_BYTES) return false;
    const first = view.getUint8(at);
    const headerBytes = (first & 0xf) * 4;
    const totalBytes = view.getUint16(at + IPHDR_TOT_LEN);
    if (first >> 4 !== 4 || headerBytes < IPHDR_BYTES || totalBytes < headerBytes) return false;
    if (at + totalBytes > frameBytes || at + headerBytes > this.headBytes) return false;
    // RFC 1122 §3.2.1.2. No offload of virtio leaves this one out.
    if (sumOf(view, at, at + headerBytes) !== GOOD_SUM) return false;
    this.isIpv6 = false;
    this.addressBytes = 4;
    this.sourceAt = at + IPHDR_SADDR;
    this.destinationAt = this.sourceAt + 4;
    this.trafficClass = view.getUint8(at + IPHDR_TOS);
    this.hopLimit = view.getUint8(at + IPHDR_TTL);
    this.protocol = view.getUint8(at + IPHDR_PROTOCOL);
    this.payloadAt = at + headerBytes;
    this.payloadBytes = totalBytes - headerBytes;
    this.identification = view.getUint16(at + IPHDR_ID);
    const fragment = view.getUint16(at + IPHDR_FRAG_OFF);
    this.dontFragment = (fragment & (IP_DF | IP_MF | IP_OFFMASK)) === IP_DF;
    return this.#place((fragment & IP_OFFMASK) * 8, (fragment & IP_MF) !== 0);
  }

  #readIpv6(frameBytes: number): boolean {
    const { view } = this;
    const at = ETHER_HDR_LEN;
    if (this.headBytes < at + IP6_HDR_BYTES || view.getUint8(at) >> 4 !== 6) return false;
    const end = at + IP6_HDR_BYTES + view.getUint16(at + IP6_HDR_IP6_PLEN);
    if (end > frameBytes) return false;
    this.isIpv6 = true;
    this.addressBytes = 16;
    this.sourceAt = at + IP6_HDR_IP6_SRC;
    this.destinationAt = this.sourceAt + 16;
    this.trafficClass = (view.getUint16(at) >> 4) & 0xff;
    this.hopLimit = view.getUint8(at + IP6_HDR_IP6_HLIM);
    return this.#readExtensions(view.getUint8(at + IP6_HDR_IP6_NXT), at + IP6_HDR_BYTES, end);
  }

  /** RFC 8200 §4.1: up to the first header that is not one of these. */
  #readExtensions(firstHeader: number, firstAt: number, end: number): boolean {
    const { view } = this;
    let protocol = firstHeader;
    let at = firstAt;
    this.protocolAt = this.headerAt + IP6_HDR_IP6_NXT;
    for (let i = 0; isExtension(protocol); i++) {
      if (i === MAX_EXTENSIONS || at + 8 > Math.min(end, this.headBytes)) return false;
      if (protocol === IPPROTO_FRAGMENT) {
        if (this.fragmentHeaderAt !== 0) return false;
        this.fragmentHeaderAt = at;
        this.identification = view.getUint32(at + IP6_FRAG_IP6F_IDENT);
        const fragment = view.getUint16(at + IP6_FRAG_IP6F_OFFLG);
        if (!this.#place(fragment & ~7, (fragment & 1) !== 0, end - at - IP6_FRAG_BYTES)) return false;
        protocol = view.getUint8(at + IP6_FRAG_IP6F_NXT);
        this.protocolAt = at + IP6_FRAG_IP6F_NXT;
        at += IP6_FRAG_BYTES;
        if (this.fragmentOffset > 0) break; // what follows is not a header
      } else {
        const lengthBytes = extensionBytes(protocol, view.getUint8(at + 1));
        protocol = view.getUint8(at);
        this.protocolAt = at;
        at += lengthBytes;
      }
    }
    if (at > end) return false;
    this.dontFragment = this.fragmentHeaderAt === 0;
    this.protocol = protocol;
    this.payloadAt = at;
    this.payloadBytes = end - at;
    return true;
  }

  /** A fragment must be a multiple of 8 bytes unless it is the last, and end within 64 KiB. */
  #place(offset: number, hasMore: boolean, lengthBytes = this.payloadBytes): boolean {
    this.isFragment = offset > 0 || hasMore;
    this.hasMoreFragments = hasMore;
    this.fragmentOffset = offset;
    if (!this.isFragment) return true;
    return offset + lengthBytes <= 0xffff && lengthBytes > 0 && (!hasMore || lengthBytes % 8 === 0);
  }
}

function isExtension(protocol: number): boolean {
  return (
    protocol === IPPROTO_HOPOPTS ||
    protocol === IPPROTO_ROUTING ||
    protocol === IPPROTO_FRAGMENT ||
    protocol === IPPROTO_DSTOPTS ||
    protocol === IPPROTO_AH
  );
}

/** RFC 4302 §2.2: the authentication header alone counts in units of 4. */
function extensionBytes(protocol: number, length: number): number {
  return protocol === IPPROTO_AH ? (length + 2) * 4 : (length + 1) * 8;
}

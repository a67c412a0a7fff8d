/**
 * Gives a frame to a guest whose driver does not do what the frame leaves to it: completes the checksum, cuts
 * a TCP segment into segments of the size that the sender asked for (RFC 9293; what Linux calls GSO). On the
 * I/O thread. Frames come from elsewhere and are hostile: all is read from a private copy.
 */
import {
  ETHERTYPE_IP,
  ETHERTYPE_IPV6,
  IP6_HDR_BYTES,
  IP6_HDR_IP6_NXT,
  IP6_HDR_IP6_PLEN,
  IP6_HDR_IP6_SRC,
  IPHDR_BYTES,
  IPHDR_CHECK,
  IPHDR_ID,
  IPHDR_PROTOCOL,
  IPHDR_SADDR,
  IPHDR_TOT_LEN,
  TCPHDR_BYTES,
  TCPHDR_CHECK,
  TCPHDR_SEQ,
  TH_FIN,
  TH_PUSH,
} from '../../abi/packets.ts';
import {
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_ECN,
  VIRTIO_NET_HDR_GSO_NONE,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
  VIRTIO_NET_HDR_GSO_UDP,
} from '../../abi/virtioNetHdr.ts';
import { IoBuffer } from '../../memory/ioBuffer.ts';
import { payloadOffset } from './etherFrame.ts';
import { type GuestOffloads, type GuestPort, MAX_FRAME_BYTES, type Offload } from './netLink.ts';
import { noOffload } from './offloadHeader.ts';
import { checksumOf, fold, pseudoHeaderSum, sumOf } from './user/packet/checksum.ts';

const NONE: Readonly<Offload> = noOffload();

const IPPROTO_TCP = 6;
/** Of the TCP header: its length in words, in the upper half; and the flags. */
const TCP_DATA_OFFSET = 12;
const TCP_FLAGS = 13;
const TH_CWR = 0x80; // RFC 3168 §6.1: of one segment only

/** Of a segment: where its headers are, and what follows them. */
interface Layout {
  readonly ip: number;
  readonly tcpAt: number;
  readonly dataAt: number;
}

export type Delivery = 'taken' | 'noRoom' | 'malformed';

export class SoftwareOffload {
  readonly #bytes = new IoBuffer(MAX_FRAME_BYTES).bytes;
  readonly #view = new DataView(this.#bytes.buffer);

  /** `frame`: from its Ethernet header on. 'noRoom': nothing of it was given to the guest. */
  deliver(port: GuestPort, frame: Uint8Array, offload: Readonly<Offload>): Delivery {
    // Without GUEST_CSUM nothing is said of a checksum, not even that it is right (§5.1.6.4.1).
    if (isTaken(offload, port.offloads)) return give(port, frame, port.offloads.csum ? offload : NONE);
    if (frame.length > MAX_FRAME_BYTES) return 'malformed';
    this.#bytes.set(frame);
    const gsoType = offload.gsoType & ~VIRTIO_NET_HDR_GSO_ECN;
    if (gsoType === VIRTIO_NET_HDR_GSO_NONE) {
      if (!this.#completeChecksum(offload, frame.length)) return 'malformed';
      return give(port, this.#bytes.subarray(0, frame.length), NONE);
    }
    if (gsoType !== VIRTIO_NET_HDR_GSO_TCPV4 && gsoType !== VIRTIO_NET_HDR_GSO_TCPV6) return 'malformed';
    return this.#segment(port, offload, frame.length);
  }

  #completeChecksum({ csumStart, csumOffset }: Readonly<Offload>, lengthBytes: number): boolean {
    const at = csumStart + csumOffset;
    if (csumStart >= lengthBytes || at + 2 > lengthBytes) return false;
    // What is there is the pseudo-header's sum.
    const sum = checksumOf(sumOf(this.#view, csumStart, lengthBytes));
    this.#view.setUint16(at, sum === 0 ? 0xffff : sum);
    return true;
  }

  #segment(port: GuestPort, { gsoSize }: Readonly<Offload>, lengthBytes: number): Delivery {
    const view = this.#view;
    const ip = payloadOffset(this.#bytes);
    const tcpAt = this.#tcpAt(ip, lengthBytes);
    if (tcpAt === 0 || gsoSize === 0) return 'malformed';
    const dataAt = tcpAt + (view.getUint8(tcpAt + TCP_DATA_OFFSET) >> 4) * 4;
    if (dataAt < tcpAt + TCPHDR_BYTES || dataAt > lengthBytes) return 'malformed';
    const sequence = view.getUint32(tcpAt + TCPHDR_SEQ);
    const flags = view.getUint8(tcpAt + TCP_FLAGS);
    const identification = view.getUint16(ip + IPHDR_ID);
    const pair = port.pairOf(this.#bytes);
    let wasGiven = false;
    for (let at = dataAt, i = 0; at < lengthBytes; at += gsoSize, i++) {
      const end = Math.min(lengthBytes, at + gsoSize);
      const segmentBytes = dataAt + end - at;
      // The peer's TCP sends again what is lost here.
      if (!port.reserve(segmentBytes, pair)) return wasGiven ? 'taken' : 'noRoom';
      view.setUint32(tcpAt + TCPHDR_SEQ, (sequence + at - dataAt) >>> 0);
      const cleared = (at === dataAt ? 0 : TH_CWR) | (end === lengthBytes ? 0 : TH_FIN | TH_PUSH);
      view.setUint8(tcpAt + TCP_FLAGS, flags & ~cleared);
      this.#finishHeaders({ ip, tcpAt, dataAt }, at, end, (identification + i) & 0xffff);
      port.write(0, this.#bytes.subarray(0, dataAt));
      port.write(dataAt, this.#bytes.subarray(at, end));
      port.commit(segmentBytes, NONE);
      wasGiven = true;
    }
    return wasGiven ? 'taken' : 'malformed';
  }

  /** Lengths and checksums of a segment whose data are the bytes from `from` to before `to`. */
  #finishHeaders({ ip, tcpAt, dataAt }: Layout, from: number, to: number, identification: number): void {
    const view = this.#view;
    const tcpBytes = dataAt - tcpAt + to - from;
    const isIpv4 = view.getUint16(ip - 2) === ETHERTYPE_IP;
    if (isIpv4) {
      view.setUint16(ip + IPHDR_TOT_LEN, tcpAt - ip + tcpBytes);
      view.setUint16(ip + IPHDR_ID, identification);
      view.setUint16(ip + IPHDR_CHECK, 0);
      view.setUint16(ip + IPHDR_CHECK, checksumOf(sumOf(view, ip, tcpAt)));
    } else {
      view.setUint16(ip + IP6_HDR_IP6_PLEN, tcpAt - ip - IP6_HDR_BYTES + tcpBytes);
    }
    view.setUint16(tcpAt + TCPHDR_CHECK, 0);
    const addresses = isIpv4 ? IPHDR_SADDR : IP6_HDR_IP6_SRC;
    const pseudo = pseudoHeaderSum(view, ip + addresses, isIpv4 ? 8 : 32, IPPROTO_TCP, tcpBytes);
    const sum = fold(pseudo + fold(sumOf(view, tcpAt, dataAt) + sumOf(view, from, to)));
    view.setUint16(tcpAt + TCPHDR_CHECK, checksumOf(sum));
  }

  /** 0: it is not TCP right behind an IP header. */
  #tcpAt(ip: number, lengthBytes: number): number {
    const view = this.#view;
    if (lengthBytes < ip + IP6_HDR_BYTES + TCPHDR_BYTES) return 0;
    const type = view.getUint16(ip - 2);
    if (type === ETHERTYPE_IPV6)
      return view.getUint8(ip + IP6_HDR_IP6_NXT) === IPPROTO_TCP ? ip + IP6_HDR_BYTES : 0;
    const tcpAt = ip + (view.getUint8(ip) & 0xf) * 4;
    const isTcp = type === ETHERTYPE_IP && view.getUint8(ip + IPHDR_PROTOCOL) === IPPROTO_TCP;
    return isTcp && tcpAt >= ip + IPHDR_BYTES && tcpAt + TCPHDR_BYTES <= lengthBytes ? tcpAt : 0;
  }
}

/** The guest's driver does all that the frame leaves to it. */
function isTaken({ flags, gsoType }: Readonly<Offload>, guest: GuestOffloads): boolean {
  if ((flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) !== 0 && !guest.csum) return false;
  if ((gsoType & VIRTIO_NET_HDR_GSO_ECN) !== 0 && !guest.ecn) return false;
  switch (gsoType & ~VIRTIO_NET_HDR_GSO_ECN) {
    case VIRTIO_NET_HDR_GSO_NONE:
      return true;
    case VIRTIO_NET_HDR_GSO_TCPV4:
      return guest.tso4;
    case VIRTIO_NET_HDR_GSO_TCPV6:
      return guest.tso6;
    case VIRTIO_NET_HDR_GSO_UDP:
      return guest.ufo;
    default:
      return false;
  }
}

function give(port: GuestPort, frame: Uint8Array, offload: Readonly<Offload>): Delivery {
  if (!port.reserve(frame.length, port.pairOf(frame))) return 'noRoom';
  port.write(0, frame);
  port.commit(frame.length, offload);
  return 'taken';
}

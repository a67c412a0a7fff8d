/**
 * Sends segments to the guest: headers, offloads as its driver takes them, checksums where it takes none.
 * Nothing is sent where the guest has no buffers; then `isStarved`, and who wanted to send tries again at
 * `onRoom`.
 */
import {
  ETHER_HDR_LEN,
  IP6_HDR_BYTES,
  IPHDR_BYTES,
  TCPHDR_BYTES,
  TCPHDR_CHECK,
  TCPOLEN_MAXSEG,
  TCPOLEN_WINDOW,
  TCPOPT_MAXSEG,
  TCPOPT_NOP,
  TCPOPT_SACK_PERMITTED,
  TCPOPT_WINDOW,
  TH_ACK,
  TH_FIN,
  TH_PUSH,
  TH_RST,
  TH_SYN,
} from '../../../../abi/packets.ts';
import {
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_NONE,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
} from '../../../../abi/virtioNetHdr.ts';
import { type GuestPort, MAX_FRAME_BYTES, type Offload } from '../../netLink.ts';
import { checksumOf, fold, sumOf } from '../packet/checksum.ts';
import { PacketHeaders } from '../packet/packetHeaders.ts';
import type { TcpSegment } from '../packet/tcpSegment.ts';
import { BLOCK_BYTES, type BlockPool } from './blockPool.ts';
import type { TcpConnection } from './tcpConnection.ts';
import type { Endpoint, TcpHost } from './tcpHost.ts';

const IPPROTO_TCP = 6;
/** Ours: up to 8 MiB in 16 bits, more than WINDOW_BYTES. */
export const WINDOW_SHIFT = 7;
/** MSS, window scale and SACK permitted, padded. */
const SYN_OPTION_BYTES = 12;
const MAX_PACKET_BYTES = 0xffff;

export class SegmentWriter {
  /** The guest had no room for what was sent last. */
  isStarved = false;
  readonly #port: GuestPort;
  readonly #mac: Uint8Array;
  readonly #pool: BlockPool;
  readonly #headers = new PacketHeaders();
  readonly #ipv4Header: Uint8Array;
  readonly #ipv6Header: Uint8Array;
  readonly #offload: Offload = {
    flags: 0,
    gsoType: VIRTIO_NET_HDR_GSO_NONE,
    hdrLen: 0,
    gsoSize: 0,
    csumStart: 0,
    csumOffset: TCPHDR_CHECK,
  };

  constructor({ port, mac }: TcpHost, pool: BlockPool) {
    this.#port = port;
    this.#mac = mac;
    this.#pool = pool;
    this.#ipv4Header = this.#headers.bytes.subarray(0, ETHER_HDR_LEN + IPHDR_BYTES + TCPHDR_BYTES);
    this.#ipv6Header = this.#headers.bytes.subarray(0, ETHER_HDR_LEN + IP6_HDR_BYTES + TCPHDR_BYTES);
  }

  /** Most bytes of data in a segment that the link's MTU has room for. */
  mss(isIpv6: boolean): number {
    return this.#port.mtu - (isIpv6 ? IP6_HDR_BYTES : IPHDR_BYTES) - TCPHDR_BYTES;
  }

  /** Most bytes of data in a frame of this connection; a multiple of its segments' where it takes several. */
  frameData({ isIpv6, mss }: TcpConnection): number {
    const { offloads } = this.#port;
    if (!offloads.csum || !(isIpv6 ? offloads.tso6 : offloads.tso4)) return mss;
    const headers = (isIpv6 ? IP6_HDR_BYTES : IPHDR_BYTES) + TCPHDR_BYTES;
    const most = Math.min(MAX_FRAME_BYTES - ETHER_HDR_LEN, MAX_PACKET_BYTES) - headers;
    return Math.max(1, Math.floor(most / mss)) * mss;
  }

  /** SYN, or SYN and ACK, with our options. The guest's are known where it has sent SYN. */
  syn(connection: TcpConnection, hasAck: boolean, hasScale: boolean, hasSack: boolean): boolean {
    const { view } = this.#headers;
    const options = SYN_OPTION_BYTES;
    if (!this.#begin(connection, options)) return false;
    const { guest, peer, sndUna, rcvNxt, rcvEdge } = connection;
    const window = Math.min(0xffff, (rcvEdge - rcvNxt) | 0); // RFC 7323 §2.2: never shifted here
    const flags = hasAck ? TH_SYN | TH_ACK : TH_SYN;
    this.#headers.tcp(peer.port, guest.port, sndUna, hasAck ? rcvNxt : 0, flags, window, options);
    const at = this.#headers.end - options;
    view.setUint16(at, (TCPOPT_MAXSEG << 8) | TCPOLEN_MAXSEG);
    view.setUint16(at + 2, this.mss(connection.isIpv6));
    const nops = (TCPOPT_NOP << 24) | (TCPOPT_NOP << 16) | (TCPOPT_NOP << 8) | TCPOPT_NOP;
    view.setInt32(at + 4, nops);
    view.setInt32(at + 8, nops);
    if (hasScale) {
      view.setUint16(at + 5, (TCPOPT_WINDOW << 8) | TCPOLEN_WINDOW);
      view.setUint8(at + 7, WINDOW_SHIFT);
    }
    if (hasSack) view.setUint16(at + 10, (TCPOPT_SACK_PERMITTED << 8) | 2);
    this.#finish(0, 0, connection.mss);
    return true;
  }

  /** An open connection's segment, of `bytes` at `offset` of the pool's memory. Acknowledges all. */
  data(connection: TcpConnection, sequence: number, flags: number, offset: number, bytes: number): boolean {
    if (!this.#begin(connection, bytes)) return false;
    const { guest, peer, rcvNxt } = connection;
    const window = Math.min(0xffff, ((connection.rcvEdge - rcvNxt) | 0) >>> connection.rcvShift);
    this.#headers.tcp(peer.port, guest.port, sequence, rcvNxt, flags | TH_ACK, window);
    this.#finish(offset, bytes, connection.mss);
    connection.needsAck = false;
    return true;
  }

  /** Of a connection that the guest knows. */
  reset(connection: TcpConnection): boolean {
    return this.#reset(
      connection.guestMac,
      connection.guest,
      connection.peer,
      connection.sndNxt,
      connection.rcvNxt,
      TH_RST | TH_ACK,
    );
  }

  #reset(
    mac: Uint8Array,
    guest: Endpoint,
    peer: Endpoint,
    sequence: number,
    acknowledgement: number,
    flags: number,
  ): boolean {
    if (!this.#beginTo(mac, guest, peer, 0)) return false;
    this.#headers.tcp(peer.port, guest.port, sequence, acknowledgement, flags, 0);
    this.#finish(0, 0, MAX_PACKET_BYTES);
    return true;
  }

  /**
   * To a segment that belongs to no connection: RFC 9293 §3.10.7.1. When the guest has no room the answer is
   * lost: the next segment causes another.
   */
  refuse(mac: Uint8Array, guest: Endpoint, peer: Endpoint, segment: TcpSegment): void {
    const { flags, sequence, acknowledgement, dataBytes } = segment;
    if ((flags & TH_ACK) !== 0) {
      this.#reset(mac, guest, peer, acknowledgement, 0, TH_RST);
      return;
    }
    const length = dataBytes + ((flags & TH_SYN) !== 0 ? 1 : 0) + ((flags & TH_FIN) !== 0 ? 1 : 0);
    this.#reset(mac, guest, peer, 0, (sequence + length) | 0, TH_RST | TH_ACK);
  }

  #begin({ guestMac, guest, peer }: TcpConnection, moreBytes: number): boolean {
    return this.#beginTo(guestMac, guest, peer, moreBytes);
  }

  /** `moreBytes`: of options and data. */
  #beginTo(mac: Uint8Array, guest: Endpoint, peer: Endpoint, moreBytes: number): boolean {
    const headers = this.#headers;
    headers.ethernet(mac, this.#mac);
    headers.ip(peer.address, guest.address, IPPROTO_TCP, TCPHDR_BYTES + moreBytes);
    headers.ports(peer.port, guest.port);
    const pair = this.#port.pairOf(headers.bytes);
    this.isStarved = !this.#port.reserve(headers.end + TCPHDR_BYTES + moreBytes, pair);
    return !this.isStarved;
  }

  #finish(offset: number, bytes: number, mss: number): void {
    const port = this.#port;
    const headers = this.#headers;
    const headerBytes = headers.end;
    const transportBytes = headerBytes - headers.transportAt + bytes;
    const it = this.#offload;
    const isCut = bytes > mss;
    it.gsoType = isCut ? this.#gsoType(headerBytes) : VIRTIO_NET_HDR_GSO_NONE;
    it.gsoSize = isCut ? mss : 0;
    it.hdrLen = isCut ? headerBytes : 0;
    let sum = headers.pseudoSum(transportBytes);
    if (port.offloads.csum) {
      it.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
      it.csumStart = headers.transportAt;
      headers.setChecksum(TCPHDR_CHECK, sum);
    } else {
      it.flags = 0;
      it.csumStart = 0;
      sum = fold(sum + headers.transportSum() + sumOf(this.#pool.view, offset, offset + bytes));
      headers.setChecksum(TCPHDR_CHECK, checksumOf(sum));
    }
    it.csumOffset = it.flags === 0 ? 0 : TCPHDR_CHECK;
    port.write(0, this.#headerBytes(headerBytes));
    if (bytes > 0) port.write(headerBytes, this.#pool.buffer.bytes.subarray(offset, offset + bytes));
    port.commit(headerBytes + bytes, it);
  }

  #headerBytes(length: number): Uint8Array {
    if (length === this.#ipv4Header.length) return this.#ipv4Header;
    if (length === this.#ipv6Header.length) return this.#ipv6Header;
    return this.#headers.bytes.subarray(0, length);
  }

  /** Only segments without options are cut: their headers tell the family. */
  #gsoType(headerBytes: number): number {
    return headerBytes === this.#ipv4Header.length ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
  }
}

/** Of data that ends what there is for now. */
export const LAST = TH_PUSH;

/** Of a block, so that what fills it is one frame or whole segments. */
export function blockUnit(frameData: number): number {
  return frameData * Math.max(1, Math.floor(BLOCK_BYTES / frameData));
}

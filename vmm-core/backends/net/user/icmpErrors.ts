/** Tells the guest why a packet of its went nowhere (RFC 792, RFC 4443 §3). */
import {
  ICMP6_DST_UNREACH,
  ICMP6_DST_UNREACH_ADDR,
  ICMP6_DST_UNREACH_ADMIN,
  ICMP6_DST_UNREACH_NOPORT,
  ICMP6_DST_UNREACH_NOROUTE,
  ICMP6_INFOMSG,
  ICMP6_MTU,
  ICMP6_PACKET_TOO_BIG,
  ICMP6_PARAM_PROB,
  ICMP6_PARAMPROB_NEXTHEADER,
  ICMP6_PPTR,
  ICMP6_TIME_EXCEEDED,
  ICMP_CODE,
  ICMP_DEST_UNREACH,
  ICMP_ECHO,
  ICMP_ECHOREPLY,
  ICMP_FRAG_NEEDED,
  ICMP_HEADER_BYTES,
  ICMP_HOST_UNREACH,
  ICMP_MTU,
  ICMP_NET_UNREACH,
  ICMP_PKT_FILTERED,
  ICMP_PORT_UNREACH,
  ICMP_PROT_UNREACH,
  ICMP_TIME_EXCEEDED,
  ICMP_TYPE,
} from '../../../abi/icmp.ts';
import { IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP } from '../../../abi/inet.ts';
import { ETHER_ADDR_LEN, ETHER_SHOST, TCPHDR_BYTES, TH_SYN, UDPHDR_BYTES } from '../../../abi/packets.ts';
import { sameBytes, type UserNetwork } from './addresses.ts';
import type { IpSender } from './ipSender.ts';
import type { IpPacket } from './packet/ipPacket.ts';
import { PacketHeaders } from './packet/packetHeaders.ts';
import type { PacketBuffer } from './packetBuffer.ts';

export type IcmpError = 'port' | 'host' | 'network' | 'filtered' | 'protocol' | 'expired' | 'tooBig';

/** Type and code of ICMP, then of ICMPv6. */
const CODES: Readonly<Record<IcmpError, readonly [number, number, number, number]>> = {
  port: [ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_NOPORT],
  host: [ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_ADDR],
  network: [ICMP_DEST_UNREACH, ICMP_NET_UNREACH, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_NOROUTE],
  filtered: [ICMP_DEST_UNREACH, ICMP_PKT_FILTERED, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_ADMIN],
  protocol: [ICMP_DEST_UNREACH, ICMP_PROT_UNREACH, ICMP6_PARAM_PROB, ICMP6_PARAMPROB_NEXTHEADER],
  expired: [ICMP_TIME_EXCEEDED, 0, ICMP6_TIME_EXCEEDED, 0],
  tooBig: [ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, ICMP6_PACKET_TOO_BIG, 0],
};
/** RFC 8201 §4: nobody believes less. */
const MIN_MTU6 = 1280;
const MAX_MTU4 = 0xffff;
const NOTHING: Uint8Array = new Uint8Array(0);

/**
 * RFC 4443 §2.4 f, RFC 1812 §4.3.2.8: so many a second, and at once. As Linux has it (icmp_msgs_per_sec,
 * icmp_msgs_burst).
 */
const ERRORS_PER_MS = 1;
const BURST = 50;

/** Of a packet whose headers are gone: who sent it where. */
interface LostIp {
  readonly mac: Uint8Array;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
}

export interface LostPacket extends LostIp {
  readonly sourcePort: number;
  readonly destinationPort: number;
}

export class IcmpErrors {
  readonly #network: UserNetwork;
  readonly #sender: IpSender;
  readonly #buffer: PacketBuffer;
  readonly #headers = new PacketHeaders();
  readonly #nowMs: () => number;
  #tokens = BURST;
  #filledMs: number;
  sent = 0;
  /** By the limit. */
  withheld = 0;

  /** `buffer` is free between two calls of the link. */
  constructor(network: UserNetwork, sender: IpSender, buffer: PacketBuffer, nowMs: () => number) {
    this.#network = network;
    this.#sender = sender;
    this.#buffer = buffer;
    this.#nowMs = nowMs;
    this.#filledMs = nowMs();
  }

  /**
   * About errors, and to or from groups, none is sent (RFC 1122 §3.2.2). `mtu`: of `tooBig`, the largest IP
   * packet that the way takes.
   */
  about(packet: IpPacket, error: IcmpError, mtu = 0): void {
    const { head, headerAt, headBytes, payloadAt, payloadBytes } = packet;
    if (packet.fragmentOffset > 0 || isErrorItself(packet)) return;
    const source = packet.source();
    const destination = packet.destination();
    if (isGroup(source) || isGroup(destination)) return;
    if (sameBytes(destination, this.#network.ipv4.broadcast) || !this.#takeToken()) return;
    const quotedBytes = Math.min(payloadAt + payloadBytes, headBytes) - headerAt;
    this.#buffer.bytes.set(head.subarray(headerAt, headerAt + quotedBytes), ICMP_HEADER_BYTES);
    const mac = head.slice(ETHER_SHOST, ETHER_SHOST + ETHER_ADDR_LEN);
    const detail = error === 'protocol' ? packet.protocolAt - headerAt : mtu;
    this.#send(mac, source, this.#whoTells(destination), quotedBytes, error, detail);
  }

  /** The host's network has said so of what a socket sent. */
  aboutDatagram(lost: LostPacket, error: IcmpError, mtu = 0): void {
    this.#headers.ethernet(lost.mac, lost.mac); // not sent: what follows is quoted
    this.#headers.ip(lost.source, lost.destination, IPPROTO_UDP, UDPHDR_BYTES);
    this.#headers.udp(lost.sourcePort, lost.destinationPort, 0);
    this.#aboutHeaders(lost, error, mtu);
  }

  /** The same of a connection. The guest looks for the number that it sent (RFC 5927 §4.1). */
  aboutSyn(lost: LostPacket, sequence: number, error: IcmpError): void {
    this.#headers.ethernet(lost.mac, lost.mac);
    this.#headers.ip(lost.source, lost.destination, IPPROTO_TCP, TCPHDR_BYTES);
    this.#headers.tcp(lost.sourcePort, lost.destinationPort, sequence, 0, TH_SYN, 0);
    this.#aboutHeaders(lost, error, 0);
  }

  /** The same of an echo request, of which `echo` is what is known. */
  aboutEcho(lost: LostIp, echo: Uint8Array, error: IcmpError, mtu = 0): void {
    const protocol = lost.source.length === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    this.#headers.ethernet(lost.mac, lost.mac);
    this.#headers.ip(lost.source, lost.destination, protocol, echo.length);
    this.#aboutHeaders(lost, error, mtu, echo);
  }

  #aboutHeaders(lost: LostIp, error: IcmpError, mtu: number, more: Uint8Array = NOTHING): void {
    if (!this.#takeToken()) return;
    const { mac, source, destination } = lost;
    const quoted = this.#headers.bytes.subarray(this.#headers.ipAt, this.#headers.end);
    this.#buffer.bytes.set(quoted, ICMP_HEADER_BYTES);
    this.#buffer.bytes.set(more, ICMP_HEADER_BYTES + quoted.length);
    const quotedBytes = quoted.length + more.length;
    this.#send(mac, source, this.#whoTells(destination), quotedBytes, error, mtu);
  }

  /** False: there were too many of late. */
  #takeToken(): boolean {
    const nowMs = this.#nowMs();
    this.#tokens = Math.min(BURST, this.#tokens + (nowMs - this.#filledMs) * ERRORS_PER_MS);
    this.#filledMs = nowMs;
    if (this.#tokens < 1) {
      this.withheld++;
      return false;
    }
    this.#tokens--;
    return true;
  }

  /** `detail`: of `tooBig` the MTU; of `protocol`, over IPv6, where in the packet it is named. */
  #send(
    mac: Uint8Array,
    to: Uint8Array,
    from: Uint8Array,
    quotedBytes: number,
    error: IcmpError,
    detail: number,
  ): void {
    const isIpv6 = to.length === 16;
    const { view } = this.#buffer;
    const [type, code, type6, code6] = CODES[error];
    view.setUint8(ICMP_TYPE, isIpv6 ? type6 : type);
    view.setUint8(ICMP_CODE, isIpv6 ? code6 : code);
    view.setUint32(ICMP_HEADER_BYTES - 4, 0); // unused, but for `detail`
    if (error === 'tooBig' && isIpv6) view.setUint32(ICMP6_MTU, Math.max(MIN_MTU6, detail));
    else if (error === 'tooBig') view.setUint16(ICMP_MTU, Math.min(MAX_MTU4, detail));
    else if (error === 'protocol' && isIpv6) view.setUint32(ICMP6_PPTR, detail);
    this.sent++;
    const protocol = isIpv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
    this.#sender.send({ mac, to, from }, protocol, this.#buffer, ICMP_HEADER_BYTES + quotedBytes);
  }

  /** Who was meant, where that is one of us; else the router. */
  #whoTells(destination: Uint8Array): Uint8Array {
    const { ipv4, ipv6 } = this.#network;
    if (destination.length === 4) return sameBytes(destination, ipv4.dns) ? ipv4.dns : ipv4.host;
    return sameBytes(destination, ipv6.dns) ? ipv6.dns : ipv6.host;
  }
}

function isErrorItself({ head, protocol, payloadAt }: IpPacket): boolean {
  const type = head[payloadAt + ICMP_TYPE] ?? 0;
  if (protocol === IPPROTO_ICMP) return type !== ICMP_ECHO && type !== ICMP_ECHOREPLY;
  return protocol === IPPROTO_ICMPV6 && type < ICMP6_INFOMSG;
}

/** Not the address of one: a group, all, or none. */
function isGroup(address: Uint8Array): boolean {
  const first = address[0] ?? 0;
  if (address.length === 4) return first >= 224 || first === 0;
  return first === 0xff || address.every((byte) => byte === 0);
}

/**
 * UDP of the guest, through sockets of the host: one for each of the guest's endpoints and family of the
 * host's network, for whatever that endpoint sends to (RFC 4787: endpoint-independent mapping). At most
 * MAX_MAPPINGS; the one unused for longest makes room, so that a flood costs the guest its own.
 */
import { EPOLLET, EPOLLIN } from '../../../abi/epoll.ts';
import {
  IP_MTU_DISCOVER,
  IP_PMTUDISC_DO,
  IP_PMTUDISC_DONT,
  IP_RECVERR,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_UDP,
  IPV6_MTU_DISCOVER,
  IPV6_RECVERR,
} from '../../../abi/inet.ts';
import {
  ETHER_ADDR_LEN,
  ETHER_SHOST,
  UDPHDR_BYTES,
  UDPHDR_DEST,
  UDPHDR_LEN,
  UDPHDR_SOURCE,
} from '../../../abi/packets.ts';
import { AF_INET, AF_INET6, SOCK_DGRAM } from '../../../abi/socket.ts';
import { addressText, type SocketAddress } from '../../../bus/socketAddress.ts';
import { EAGAIN, EMFILE, EMSGSIZE, ENFILE, ENOBUFS } from '../../../kvm/errno.ts';
import { closeFd } from '../../../kvm/libc.ts';
import { openSocket, setOption } from '../../../kvm/net/sockets.ts';
import { Rates } from '../rates.ts';
import { sameBytes } from './addresses.ts';
import { DNS_PORT, isLoopback } from './destinations.ts';
import { endpointKey } from './endpointKey.ts';
import { icmpErrorOf, isOfNetwork, isShortage, RETRY_MS } from './hostErrors.ts';
import type { IcmpError } from './icmpErrors.ts';
import { type IpRoute, mostData } from './ipSender.ts';
import type { OutgoingDatagram } from './outgoingDatagram.ts';
import type { IpPacket } from './packet/ipPacket.ts';
import { DATAGRAMS_A_TURN, RECEIVE_BYTES, TAG_UDP, tagOf, type UserHost } from './userHost.ts';

export const MAX_MAPPINGS = 1024;
/** Nothing has come back: a question, mostly. */
export const ONE_WAY_MS = 30_000;
export const TWO_WAY_MS = 180_000;
/** Of a datagram that is to be cut: Linux's UDP_MAX_SEGMENTS. */
const MAX_SEGMENTS = 128;
const NONE = -1;
const NOWHERE: Uint8Array = new Uint8Array(0);

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface Mapping {
  readonly index: number;
  /** Of the table; NONE: the mapping is free. */
  key: number;
  address: Uint8Array;
  port: number;
  readonly mac: Uint8Array;
  fd4: number;
  fd6: number;
  /** Of its sockets. */
  dontFragment4: boolean;
  dontFragment6: boolean;
  lastMs: number;
  isTwoWay: boolean;
  /** Asks the virtual name server: answers of the host's are that one's. */
  usesDns: boolean;
  sentBytes: number;
  receivedBytes: number;
  rates: Rates;
}

export class UdpNat {
  readonly #host: UserHost;
  readonly #mappings: Mapping[] = [];
  readonly #free: Mapping[] = [];
  readonly #byEndpoint = new Map<number, Mapping>();
  /** Tags of sockets that have more than was read: the turn was over, or the guest had no room. */
  readonly #unfinished = new Set<number>();
  readonly #route: Mutable<IpRoute> = { mac: NOWHERE, to: NOWHERE, from: NOWHERE };
  #dueMs = Infinity;
  /** What the way of the datagram that is being sent takes; 0: it did not fail for its size. */
  #ownMtu = 0;
  readonly #destination4 = new Uint8Array(4);
  readonly #destination6 = new Uint8Array(16);
  evicted = 0;
  refused = 0;

  constructor(host: UserHost) {
    this.#host = host;
  }

  /** `packet` has the addresses of the datagram. */
  send(packet: IpPacket, datagram: OutgoingDatagram): void {
    const { sourcePort, destinationPort, dataBytes } = datagram;
    const { destinations, errors, nameservers, network, port } = this.#host;
    const address = packet.isIpv6 ? this.#destination6 : this.#destination4;
    for (let index = 0; index < address.length; index++)
      address[index] = packet.head[packet.destinationAt + index] ?? 0;
    const destination = destinations.of(address, destinationPort);
    if (destination === 'ignored') return;
    if (typeof destination === 'string') return errors.about(packet, reasonOf(destination));
    const nowMs = this.#host.nowMs();
    const mapping = this.#mappingOf(packet, sourcePort, nowMs);
    mapping.lastMs = nowMs;
    if (
      destinationPort === DNS_PORT &&
      sameBytes(address, packet.isIpv6 ? network.ipv6.dns : network.ipv4.dns)
    ) {
      mapping.usesDns = true;
      nameservers.onQuestion(nowMs);
    }
    const isIpv6 = destination.family === 'ipv6';
    const fd = this.#socketOf(mapping, isIpv6);
    if (fd < 0) return this.#onSendError(packet, -fd, mapping, destination);
    this.#setDontFragment(mapping, fd, isIpv6, datagram.dontFragment);
    const step = Math.max(1, datagram.segmentBytes);
    if (dataBytes > step * MAX_SEGMENTS) return port.drop('malformed');
    let at = 0;
    do {
      const lengthBytes = Math.min(step, dataBytes - at);
      const result = this.#sendTo(mapping, fd, destination, datagram, at, lengthBytes);
      if (result < 0) return this.#onSendError(packet, -result, mapping, destination);
      mapping.sentBytes += lengthBytes;
      at += step;
    } while (at < dataBytes);
  }

  onReady(index: number): void {
    const mapping = this.#mappings[index >> 1];
    if (mapping === undefined || mapping.key === NONE) return;
    const isIpv6 = (index & 1) === 1;
    const fd = isIpv6 ? mapping.fd6 : mapping.fd4;
    if (fd < 0) return;
    const { port, reply, sender } = this.#host;
    for (let count = 0; count < DATAGRAMS_A_TURN; count++) {
      if (!sender.hasRoom) {
        this.#unfinished.add(index);
        return;
      }
      port.message.clear();
      port.message.addBuffer(reply.io, UDPHDR_BYTES, RECEIVE_BYTES);
      const result = port.message.receiveFrom(fd);
      if (result === -EAGAIN) return;
      if (result >= 0) this.#deliver(mapping, port.message.peer, result);
      else if (!this.#tellErrors(mapping, fd) && !isOfNetwork(-result)) {
        // Datagrams may be behind the error, and of those the kernel has told already.
        this.#unfinished.add(index);
        return port.arm(RETRY_MS);
      }
    }
    this.#unfinished.add(index);
    port.arm(0);
  }

  /** Goes on where the guest had no room, or others had their turn. */
  goOn(): void {
    if (this.#unfinished.size === 0) return;
    const tags = [...this.#unfinished];
    this.#unfinished.clear();
    for (const index of tags) this.onReady(index);
  }

  /** Ends what is unused; returns when the next is due. */
  onTimer(nowMs: number): number {
    if (nowMs < this.#dueMs) return this.#dueMs;
    let nextMs = Infinity;
    for (const mapping of this.#mappings) {
      if (mapping.key === NONE) continue;
      const dueMs = mapping.lastMs + (mapping.isTwoWay ? TWO_WAY_MS : ONE_WAY_MS);
      if (dueMs <= nowMs) this.#end(mapping);
      else nextMs = Math.min(nextMs, dueMs);
    }
    this.#dueMs = nextMs;
    return nextMs;
  }

  reset(): void {
    for (const mapping of this.#mappings) if (mapping.key !== NONE) this.#end(mapping);
    this.#unfinished.clear();
  }

  get count(): number {
    return this.#byEndpoint.size;
  }

  report(): {
    readonly guest: string;
    readonly sentBytes: number;
    readonly receivedBytes: number;
    readonly sentBytesPerSecond: number;
    readonly receivedBytesPerSecond: number;
    readonly idleSeconds: number;
  }[] {
    const nowMs = this.#host.nowMs();
    return [...this.#byEndpoint.values()].map(
      ({ address, port, sentBytes, receivedBytes, lastMs, rates }) => {
        const [sentBytesPerSecond = 0, receivedBytesPerSecond = 0] = rates.of(nowMs, [
          sentBytes,
          receivedBytes,
        ]);
        return {
          guest: endpointText(address, port),
          sentBytes,
          receivedBytes,
          sentBytesPerSecond,
          receivedBytesPerSecond,
          idleSeconds: Math.floor((nowMs - lastMs) / 1000),
        };
      },
    );
  }

  #mappingOf(packet: IpPacket, sourcePort: number, nowMs: number): Mapping {
    const { head, sourceAt, addressBytes } = packet;
    const key = endpointKey(head, sourceAt, addressBytes, sourcePort);
    const known = this.#byEndpoint.get(key);
    if (known !== undefined && packet.isFrom(known.address)) {
      for (let index = 0; index < ETHER_ADDR_LEN; index++) known.mac[index] = head[ETHER_SHOST + index] ?? 0;
      return known;
    }
    if (known !== undefined) this.#end(known);
    const mapping = this.#freeMapping();
    mapping.key = key;
    mapping.address = packet.source();
    mapping.port = sourcePort;
    mapping.mac.set(head.subarray(ETHER_SHOST, ETHER_SHOST + ETHER_ADDR_LEN));
    mapping.lastMs = nowMs;
    mapping.isTwoWay = false;
    mapping.usesDns = false;
    mapping.sentBytes = 0;
    mapping.receivedBytes = 0;
    mapping.rates = new Rates(nowMs);
    this.#byEndpoint.set(key, mapping);
    this.#dueMs = Math.min(this.#dueMs, nowMs + ONE_WAY_MS);
    this.#host.port.arm(ONE_WAY_MS);
    return mapping;
  }

  #freeMapping(): Mapping {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#mappings.length >= MAX_MAPPINGS) {
      this.#endOldest();
      return this.#freeMapping();
    }
    const mapping: Mapping = {
      index: this.#mappings.length,
      key: NONE,
      address: new Uint8Array(0),
      port: 0,
      mac: new Uint8Array(ETHER_ADDR_LEN),
      fd4: NONE,
      fd6: NONE,
      dontFragment4: false,
      dontFragment6: false,
      lastMs: 0,
      isTwoWay: false,
      usesDns: false,
      sentBytes: 0,
      receivedBytes: 0,
      rates: new Rates(0),
    };
    this.#mappings.push(mapping);
    return mapping;
  }

  /** Other than `but`. False: there is none. */
  #endOldest(but?: Mapping): boolean {
    let oldest: Mapping | undefined;
    for (const it of this.#mappings)
      if (it.key !== NONE && it !== but && (oldest === undefined || it.lastMs < oldest.lastMs)) oldest = it;
    if (oldest === undefined) return false;
    this.evicted++;
    this.#end(oldest);
    return true;
  }

  #end(mapping: Mapping): void {
    this.#byEndpoint.delete(mapping.key);
    this.#close(mapping.fd4, mapping.index * 2);
    this.#close(mapping.fd6, mapping.index * 2 + 1);
    mapping.key = NONE;
    mapping.fd4 = NONE;
    mapping.fd6 = NONE;
    this.#free.push(mapping);
  }

  #close(fd: number, index: number): void {
    if (fd < 0) return;
    this.#unfinished.delete(index);
    this.#host.port.poller.remove(fd);
    closeFd(fd);
  }

  /** Or -errno. */
  #socketOf(mapping: Mapping, isIpv6: boolean): number {
    const known = isIpv6 ? mapping.fd6 : mapping.fd4;
    if (known >= 0) return known;
    const family = isIpv6 ? AF_INET6 : AF_INET;
    let fd = openSocket(family, SOCK_DGRAM);
    if ((fd === -EMFILE || fd === -ENFILE) && this.#endOldest(mapping)) fd = openSocket(family, SOCK_DGRAM);
    if (fd < 0) {
      if (isShortage(-fd))
        this.#host.troubleOnce('the host gives no more sockets: the guest loses datagrams');
      return fd;
    }
    // What comes back of errors is the guest's to hear.
    setOption(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
    setOption(fd, IPPROTO_IP, IP_RECVERR, 1);
    if (isIpv6) {
      setOption(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IP_PMTUDISC_DONT);
      setOption(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
    }
    const added = this.#host.port.poller.add(
      fd,
      tagOf(TAG_UDP, mapping.index * 2 + (isIpv6 ? 1 : 0)),
      EPOLLIN | EPOLLET,
    );
    if (added < 0) {
      closeFd(fd);
      return added;
    }
    if (isIpv6) {
      mapping.fd6 = fd;
      mapping.dontFragment6 = false;
    } else {
      mapping.fd4 = fd;
      mapping.dontFragment4 = false;
    }
    return fd;
  }

  /** Whether it may be cut on its way is an option of the socket: that of the datagram before. */
  #setDontFragment(mapping: Mapping, fd: number, isIpv6: boolean, dontFragment: boolean): void {
    if (dontFragment === (isIpv6 ? mapping.dontFragment6 : mapping.dontFragment4)) return;
    const value = dontFragment ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT;
    if (isIpv6) {
      setOption(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, value);
      mapping.dontFragment6 = dontFragment;
    } else {
      setOption(fd, IPPROTO_IP, IP_MTU_DISCOVER, value);
      mapping.dontFragment4 = dontFragment;
    }
  }

  /** A socket first tells of errors of datagrams before: those are passed on, and this one sent. */
  #sendTo(
    mapping: Mapping,
    fd: number,
    to: SocketAddress,
    datagram: OutgoingDatagram,
    at: number,
    lengthBytes: number,
  ): number {
    const { message } = this.#host.port;
    this.#ownMtu = 0;
    for (let tries = 0; ; tries++) {
      message.clear();
      if (!datagram.addTo(message, at, lengthBytes)) return -ENOBUFS;
      const result = message.sendTo(fd, to);
      if (result >= 0 || tries === 2 || !isOfNetwork(-result)) return result;
      this.#tellErrors(mapping, fd);
      if (this.#ownMtu > 0) return result;
    }
  }

  #onSendError(packet: IpPacket, errno: number, mapping: Mapping, to: SocketAddress): void {
    const { errors, nameservers, port } = this.#host;
    if (isShortage(errno)) return port.drop('hostBusy');
    if (errno === EMSGSIZE && this.#ownMtu === 0) return port.drop('malformed');
    this.refused++;
    if (mapping.usesDns && errno !== EMSGSIZE && to.family !== 'unix') nameservers.fails(to.address);
    errors.about(packet, icmpErrorOf(errno), this.#ownMtu);
  }

  /** What came back as ICMP, for the guest; and `#ownMtu`. False: there was nothing. */
  #tellErrors(mapping: Mapping, fd: number): boolean {
    const { errors, nameservers, network, port, reply } = this.#host;
    const { message } = port;
    let found = false;
    this.#ownMtu = 0;
    for (let count = 0; count < DATAGRAMS_A_TURN; count++) {
      message.clear();
      message.addBuffer(reply.io, 0, reply.bytes.length); // what was sent: it is not needed
      if (message.receiveFailure(fd) < 0) return found;
      found = true;
      const { errno, isLocal, mtu } = message.failure;
      if (isLocal) {
        this.#ownMtu = mtu;
        continue;
      }
      this.refused++;
      const shown = this.#shownAs(mapping, message.peer);
      if (shown === undefined || message.peer.family === 'unix') continue;
      if (errno !== EMSGSIZE && (shown === network.ipv4.dns || shown === network.ipv6.dns))
        nameservers.fails(message.peer.address);
      const lost = {
        mac: mapping.mac,
        source: mapping.address,
        sourcePort: mapping.port,
        destination: shown,
        destinationPort: message.peer.port,
      };
      errors.aboutDatagram(lost, icmpErrorOf(errno), mtu);
    }
    return true;
  }

  #deliver(mapping: Mapping, peer: SocketAddress, dataBytes: number): void {
    const from = this.#shownAs(mapping, peer);
    if (from === undefined || peer.family === 'unix' || dataBytes > mostData(from)) return;
    mapping.lastMs = this.#host.nowMs();
    mapping.isTwoWay ||= !mapping.usesDns; // answers of DNS end what they were asked by
    mapping.receivedBytes += dataBytes;
    const { reply, sender } = this.#host;
    reply.view.setUint16(UDPHDR_SOURCE, peer.port);
    reply.view.setUint16(UDPHDR_DEST, mapping.port);
    reply.view.setUint16(UDPHDR_LEN, UDPHDR_BYTES + dataBytes);
    this.#route.mac = mapping.mac;
    this.#route.to = mapping.address;
    this.#route.from = from;
    sender.send(this.#route, IPPROTO_UDP, reply, UDPHDR_BYTES + dataBytes);
  }

  /** Whom the guest believes it talks to. Undefined: nobody it could have named. */
  #shownAs(mapping: Mapping, peer: SocketAddress): Uint8Array | undefined {
    if (peer.family === 'unix') return undefined;
    const { nameservers, network } = this.#host;
    const isIpv4 = mapping.address.length === 4;
    if (mapping.usesDns && nameservers.has(peer.address, peer.port)) {
      nameservers.onAnswer();
      return isIpv4 ? network.ipv4.dns : network.ipv6.dns;
    }
    if (peer.address.length !== mapping.address.length) return undefined;
    if (isLoopback(peer.address)) return isIpv4 ? network.ipv4.host : network.ipv6.host;
    return peer.address;
  }
}

/** `10.0.2.15:53`, `[fd00::1]:53`. */
export function endpointText(address: Uint8Array, port: number): string {
  return addressText({ family: address.length === 4 ? 'ipv4' : 'ipv6', address, port });
}

function reasonOf(destination: 'refused' | 'filtered'): IcmpError {
  return destination === 'refused' ? 'port' : 'filtered';
}

/**
 * Echo requests to the outside, by the host's sockets: those that need no privilege where the host allows
 * them (net.ipv4.ping_group_range, for IPv6 as well), raw ones as root. One for each endpoint (address and
 * identifier) of the guest; at most MAX_PINGS.
 */
import { EPOLLET, EPOLLIN } from '../../../abi/epoll.ts';
import {
  ICMP6_ECHO_REPLY,
  ICMP_CHECKSUM,
  ICMP_ECHOREPLY,
  ICMP_HEADER_BYTES,
  ICMP_ID,
  ICMP_TYPE,
} from '../../../abi/icmp.ts';
import {
  IP_MTU_DISCOVER,
  IP_PMTUDISC_DO,
  IP_PMTUDISC_DONT,
  IP_RECVERR,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_MTU_DISCOVER,
  IPV6_RECVERR,
} from '../../../abi/inet.ts';
import { ETHER_ADDR_LEN, ETHER_SHOST, IPHDR_BYTES } from '../../../abi/packets.ts';
import { AF_INET, AF_INET6, SOCK_DGRAM, SOCK_RAW } from '../../../abi/socket.ts';
import type { SocketAddress } from '../../../bus/socketAddress.ts';
import { EAGAIN } from '../../../kvm/errno.ts';
import { closeFd } from '../../../kvm/libc.ts';
import { openSocket, setOption } from '../../../kvm/net/sockets.ts';
import { checksumOf, sumOf } from './packet/checksum.ts';
import { isLoopback } from './destinations.ts';
import { icmpErrorOf, isOfNetwork, isShortage, RETRY_MS } from './hostErrors.ts';
import type { IpPacket } from './packet/ipPacket.ts';
import { DATAGRAMS_A_TURN, RECEIVE_BYTES, TAG_PING, tagOf, type UserHost } from './userHost.ts';

export const MAX_PINGS = 64;
const UNUSED_MS = 30_000;
/** Of an echo that has failed: enough to be known again. */
const QUOTED_BYTES = 512;

interface Ping {
  readonly index: number;
  readonly fd: number;
  readonly isRaw: boolean;
  readonly address: Uint8Array;
  /** The guest's identifier, and ours: a socket that needs no privilege has the kernel's. */
  readonly id: number;
  readonly hostId: number;
  readonly mac: Uint8Array;
  /** Of its socket. */
  dontFragment: boolean;
  lastMs: number;
}

export class Pings {
  readonly #host: UserHost;
  readonly #pings = new Map<number, Ping>();
  readonly #unfinished = new Set<number>();
  #nextIndex = 0;
  #dueMs = Infinity;
  /** See UdpNat. */
  #ownMtu = 0;

  constructor(host: UserHost) {
    this.#host = host;
  }

  /** An echo request of the guest, `lengthBytes` of it in `request`. False: the host lets nobody ping. */
  send(packet: IpPacket, to: SocketAddress, lengthBytes: number): boolean {
    const { errors, request, port } = this.#host;
    const ping = this.#pingOf(packet, request.view.getUint16(ICMP_ID));
    if (typeof ping === 'number') {
      if (!isShortage(-ping)) return false;
      port.drop('hostBusy');
      return true;
    }
    ping.lastMs = this.#host.nowMs();
    ping.mac.set(packet.head.subarray(ETHER_SHOST, ETHER_SHOST + ETHER_ADDR_LEN));
    this.#setDontFragment(ping, packet.dontFragment);
    if (ping.isRaw) this.#makeRaw(ping, packet.isIpv6, lengthBytes);
    const result = this.#sendTo(ping, to, lengthBytes);
    if (result < 0 && isShortage(-result)) port.drop('hostBusy');
    else if (result < 0) errors.about(packet, icmpErrorOf(-result), this.#ownMtu);
    return true;
  }

  onReady(index: number): void {
    const ping = this.#pings.get(index);
    if (ping === undefined) return;
    const { port, reply } = this.#host;
    // What the guest has no room for is lost, as any echo may be.
    for (let count = 0; count < DATAGRAMS_A_TURN; count++) {
      port.message.clear();
      port.message.addBuffer(reply.io, 0, RECEIVE_BYTES);
      const result = port.message.receiveFrom(ping.fd);
      if (result === -EAGAIN) return;
      if (result < 0) {
        if (this.#tellErrors(ping) || isOfNetwork(-result)) continue;
        this.#unfinished.add(index);
        return port.arm(RETRY_MS);
      }
      this.#deliver(ping, port.message.peer, result);
    }
    this.#unfinished.add(index);
    port.arm(0);
  }

  goOn(): void {
    const indexes = [...this.#unfinished];
    this.#unfinished.clear();
    for (const index of indexes) this.onReady(index);
  }

  /** Returns when the next is due. */
  onTimer(nowMs: number): number {
    if (nowMs < this.#dueMs) return this.#dueMs;
    let nextMs = Infinity;
    for (const ping of [...this.#pings.values()]) {
      if (ping.lastMs + UNUSED_MS <= nowMs) this.#end(ping);
      else nextMs = Math.min(nextMs, ping.lastMs + UNUSED_MS);
    }
    this.#dueMs = nextMs;
    return nextMs;
  }

  reset(): void {
    for (const ping of [...this.#pings.values()]) this.#end(ping);
  }

  get count(): number {
    return this.#pings.size;
  }

  /** Or -errno: no socket can be had. */
  #pingOf(packet: IpPacket, id: number): Ping | number {
    for (const it of this.#pings.values()) if (it.id === id && packet.isFrom(it.address)) return it;
    const family = packet.isIpv6 ? AF_INET6 : AF_INET;
    const protocol = packet.isIpv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
    if (this.#pings.size >= MAX_PINGS) this.#endOldest();
    let fd = openSocket(family, SOCK_DGRAM, protocol);
    const isRaw = fd < 0;
    if (isRaw) fd = openSocket(family, SOCK_RAW, protocol);
    if (fd < 0) return fd;
    if (packet.isIpv6) setOption(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
    else setOption(fd, IPPROTO_IP, IP_RECVERR, 1);
    const index = this.#nextIndex++ % 2 ** 24;
    const added = this.#host.port.poller.add(fd, tagOf(TAG_PING, index), EPOLLIN | EPOLLET);
    if (added < 0) {
      closeFd(fd);
      return added;
    }
    const ping: Ping = {
      index,
      fd,
      isRaw,
      address: packet.source(),
      id,
      hostId: isRaw ? Math.floor(Math.random() * 0x10000) : id,
      mac: new Uint8Array(ETHER_ADDR_LEN),
      dontFragment: false,
      lastMs: this.#host.nowMs(),
    };
    this.#pings.set(ping.index, ping);
    this.#dueMs = Math.min(this.#dueMs, this.#host.nowMs() + UNUSED_MS);
    this.#host.port.arm(UNUSED_MS);
    return ping;
  }

  /** A socket first tells of errors of echoes before: those are passed on, and this one sent. */
  #sendTo(ping: Ping, to: SocketAddress, lengthBytes: number): number {
    const { message } = this.#host.port;
    this.#ownMtu = 0;
    for (let tries = 0; ; tries++) {
      message.clear();
      message.addBuffer(this.#host.request.io, 0, lengthBytes);
      const result = message.sendTo(ping.fd, to);
      if (result >= 0 || tries === 2 || !isOfNetwork(-result)) return result;
      this.#tellErrors(ping);
      if (this.#ownMtu > 0) return result;
    }
  }

  #setDontFragment(ping: Ping, dontFragment: boolean): void {
    if (ping.dontFragment === dontFragment) return;
    const value = dontFragment ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT;
    if (ping.address.length === 16) setOption(ping.fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, value);
    else setOption(ping.fd, IPPROTO_IP, IP_MTU_DISCOVER, value);
    ping.dontFragment = dontFragment;
  }

  /** What came back of its echoes as ICMP, for the guest; and `#ownMtu`. False: there was nothing. */
  #tellErrors(ping: Ping): boolean {
    const { errors, port, reply } = this.#host;
    const { message } = port;
    let found = false;
    this.#ownMtu = 0;
    for (let count = 0; count < DATAGRAMS_A_TURN; count++) {
      message.clear();
      message.addBuffer(reply.io, 0, QUOTED_BYTES);
      const quotedBytes = message.receiveFailure(ping.fd);
      if (quotedBytes < 0) return found;
      found = true;
      const { errno, isLocal, mtu } = message.failure;
      const destination = this.#shownAs(ping, message.peer);
      if (isLocal) this.#ownMtu = mtu;
      if (isLocal || destination === undefined || quotedBytes < ICMP_HEADER_BYTES) continue;
      if (reply.view.getUint16(ICMP_ID) !== ping.hostId && ping.isRaw) continue; // another program's
      reply.view.setUint16(ICMP_ID, ping.id);
      const echo = reply.bytes.slice(0, quotedBytes);
      errors.aboutEcho({ mac: ping.mac, source: ping.address, destination }, echo, icmpErrorOf(errno), mtu);
    }
    return true;
  }

  /** Raw sockets send what they are given; the kernel completes checksums of ICMPv6 only (RFC 3542 §3.1). */
  #makeRaw(ping: Ping, isIpv6: boolean, lengthBytes: number): void {
    const { view } = this.#host.request;
    view.setUint16(ICMP_ID, ping.hostId);
    view.setUint16(ICMP_CHECKSUM, 0);
    if (!isIpv6) view.setUint16(ICMP_CHECKSUM, checksumOf(sumOf(view, 0, lengthBytes)));
  }

  #deliver(ping: Ping, peer: SocketAddress, receivedBytes: number): void {
    const { reply, sender } = this.#host;
    const isIpv6 = ping.address.length === 16;
    const from = this.#shownAs(ping, peer);
    if (from === undefined) return;
    let lengthBytes = receivedBytes;
    if (ping.isRaw && !isIpv6) {
      // Raw sockets of IPv4 have the IP header (raw(7)).
      const headerBytes = Math.max(IPHDR_BYTES, (reply.view.getUint8(0) & 0xf) * 4);
      if (receivedBytes < headerBytes) return;
      reply.bytes.copyWithin(0, headerBytes, receivedBytes);
      lengthBytes -= headerBytes;
    }
    if (lengthBytes < ICMP_HEADER_BYTES) return;
    if (reply.view.getUint8(ICMP_TYPE) !== (isIpv6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY)) return;
    if (ping.isRaw && reply.view.getUint16(ICMP_ID) !== ping.hostId) return;
    reply.view.setUint16(ICMP_ID, ping.id);
    const route = { mac: ping.mac, to: ping.address, from };
    sender.send(route, isIpv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, reply, lengthBytes);
  }

  /** Undefined: nobody that the guest could have named. */
  #shownAs({ address }: Ping, peer: SocketAddress): Uint8Array | undefined {
    const { network } = this.#host;
    if (peer.family === 'unix' || peer.address.length !== address.length) return undefined;
    if (!isLoopback(peer.address)) return peer.address;
    return address.length === 16 ? network.ipv6.host : network.ipv4.host;
  }

  #endOldest(): void {
    let oldest: Ping | undefined;
    for (const it of this.#pings.values()) if (oldest === undefined || it.lastMs < oldest.lastMs) oldest = it;
    if (oldest !== undefined) this.#end(oldest);
  }

  #end(ping: Ping): void {
    this.#pings.delete(ping.index);
    this.#unfinished.delete(ping.index);
    this.#host.port.poller.remove(ping.fd);
    closeFd(ping.fd);
  }
}

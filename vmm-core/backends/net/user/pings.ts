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
import { IPPROTO_ICMP, IPPROTO_ICMPV6 } from '../../../abi/inet.ts';
import { ETHER_ADDR_LEN, ETHER_SHOST, IPHDR_BYTES } from '../../../abi/packets.ts';
import { AF_INET, AF_INET6, SOCK_DGRAM, SOCK_RAW } from '../../../abi/socket.ts';
import type { SocketAddress } from '../../../bus/socketAddress.ts';
import { EAGAIN } from '../../../kvm/errno.ts';
import { closeFd } from '../../../kvm/libc.ts';
import { openSocket } from '../../../kvm/net/sockets.ts';
import { checksumOf, sumOf } from './packet/checksum.ts';
import { icmpErrorOf, isShortage } from './hostErrors.ts';
import type { IpPacket } from './packet/ipPacket.ts';
import { DATAGRAMS_A_TURN, RECEIVE_BYTES, RETRY_MS, TAG_PING, tagOf, type UserHost } from './userHost.ts';

export const MAX_PINGS = 64;
const UNUSED_MS = 30_000;

interface Ping {
  readonly index: number;
  readonly fd: number;
  readonly isRaw: boolean;
  readonly address: Uint8Array;
  /** The guest's identifier, and ours: a socket that needs no privilege has the kernel's. */
  readonly id: number;
  readonly hostId: number;
  readonly mac: Uint8Array;
  lastMs: number;
}

export class Pings {
  readonly #host: UserHost;
  readonly #pings = new Map<number, Ping>();
  readonly #unfinished = new Set<number>();
  #nextIndex = 0;
  #dueMs = Infinity;

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
    if (ping.isRaw) this.#makeRaw(ping, packet.isIpv6, lengthBytes);
    port.message.clear();
    port.message.addBuffer(request.io, 0, lengthBytes);
    const result = port.message.sendTo(ping.fd, to);
    if (result < 0 && isShortage(-result)) port.drop('hostBusy');
    else if (result < 0) errors.about(packet, icmpErrorOf(-result));
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
      lastMs: this.#host.nowMs(),
    };
    this.#pings.set(ping.index, ping);
    this.#dueMs = Math.min(this.#dueMs, this.#host.nowMs() + UNUSED_MS);
    this.#host.port.arm(UNUSED_MS);
    return ping;
  }

  /** Raw sockets send what they are given; the kernel completes checksums of ICMPv6 only (RFC 3542 §3.1). */
  #makeRaw(ping: Ping, isIpv6: boolean, lengthBytes: number): void {
    const { view } = this.#host.request;
    view.setUint16(ICMP_ID, ping.hostId);
    view.setUint16(ICMP_CHECKSUM, 0);
    if (!isIpv6) view.setUint16(ICMP_CHECKSUM, checksumOf(sumOf(view, 0, lengthBytes)));
  }

  #deliver(ping: Ping, peer: SocketAddress, receivedBytes: number): void {
    const { network, reply, sender } = this.#host;
    const isIpv6 = ping.address.length === 16;
    if (peer.family === 'unix' || peer.address.length !== ping.address.length) return;
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
    const isLoopback = isIpv6 ? (peer.address[0] ?? 0) === 0 : peer.address[0] === 127;
    const host = isIpv6 ? network.ipv6.host : network.ipv4.host;
    const route = { mac: ping.mac, to: ping.address, from: isLoopback ? host : peer.address };
    sender.send(route, isIpv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, reply, lengthBytes);
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

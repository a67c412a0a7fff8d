/**
 * UDP from outside to the guest: sockets that main has bound. Whoever sends to one becomes a peer, which the
 * guest's answers are for: they leave by the same socket. Peers that the guest could not address (of the
 * other family, or on an address of the host's loopback that is not the first) are shown as a port of the
 * virtual host.
 */
import { EPOLLET, EPOLLIN } from '../../../abi/epoll.ts';
import { IPPROTO_UDP } from '../../../abi/inet.ts';
import { UDPHDR_BYTES, UDPHDR_DEST, UDPHDR_LEN, UDPHDR_SOURCE } from '../../../abi/packets.ts';
import type { SocketAddress } from '../../../bus/socketAddress.ts';
import { EAGAIN } from '../../../kvm/errno.ts';
import { closeFd } from '../../../kvm/libc.ts';
import { isInPrefix, sameBytes } from './addresses.ts';
import { isLoopback, unmapped } from './destinations.ts';
import { endpointKey } from './endpointKey.ts';
import { RETRY_MS } from './hostErrors.ts';
import { type IpRoute, mostData } from './ipSender.ts';
import type { OutgoingDatagram } from './outgoingDatagram.ts';
import type { IpPacket } from './packet/ipPacket.ts';
import { listenerText } from './tcpForwards.ts';
import { DATAGRAMS_A_TURN, RECEIVE_BYTES, TAG_UDP_FORWARD, tagOf, type UserHost } from './userHost.ts';

export const MAX_PEERS = 1024;
/** Ports of the virtual host for peers that cannot be shown as they are. */
const FIRST_ALIAS = 40_000;
const ALIASES = 20_000;

/** As main has opened it. */
export interface UdpForward {
  readonly id: number;
  readonly fd: number;
  readonly guestPort: number;
  /** Undefined: the guest's own. */
  readonly guestAddress: Uint8Array | undefined;
}

interface Forward extends UdpForward {
  /** By their endpoints as they are. */
  readonly peers: Map<number, Peer>;
}

interface Peer {
  readonly forward: Forward;
  readonly real: SocketAddress & { readonly family: 'ipv4' | 'ipv6' };
  readonly shown: Uint8Array;
  readonly shownPort: number;
  /** Of its endpoints as they are, and as the guest sees them. */
  readonly realKey: number;
  readonly shownKey: number;
  /** Larger than that of those that were heard before. */
  heard: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
const NOWHERE: Uint8Array = new Uint8Array(0);

export class UdpForwards {
  readonly #host: UserHost;
  readonly #forwards = new Map<number, Forward>();
  /** By the guest's port, then by what the guest takes for the peer's endpoint. */
  readonly #byShown = new Map<number, Map<number, Peer>>();
  readonly #unfinished = new Set<number>();
  readonly #route: Mutable<IpRoute> = { mac: NOWHERE, to: NOWHERE, from: NOWHERE };
  #nextAlias = 0;
  #peers = 0;
  #heard = 0;

  constructor(host: UserHost) {
    this.#host = host;
  }

  /** Owns its descriptor from now on. */
  add(forward: UdpForward): void {
    this.#forwards.set(forward.id, { ...forward, peers: new Map() });
    if (!this.#byShown.has(forward.guestPort)) this.#byShown.set(forward.guestPort, new Map());
    this.#host.port.poller.add(forward.fd, tagOf(TAG_UDP_FORWARD, forward.id), EPOLLIN | EPOLLET);
  }

  remove(id: number): void {
    const forward = this.#forwards.get(id);
    if (forward === undefined) return;
    this.#forwards.delete(id);
    this.#unfinished.delete(id);
    for (const peer of [...forward.peers.values()]) this.#forget(peer);
    if (![...this.#forwards.values()].some((it) => it.guestPort === forward.guestPort))
      this.#byShown.delete(forward.guestPort);
    this.#host.port.poller.remove(forward.fd);
    closeFd(forward.fd);
  }

  /** A datagram of the guest, as UdpNat.send has it. False: it is no answer to a peer. */
  answer(packet: IpPacket, datagram: OutgoingDatagram): boolean {
    const { sourcePort, destinationPort, dataBytes } = datagram;
    const peers = this.#byShown.get(sourcePort);
    if (peers === undefined) return false;
    const { head, destinationAt, addressBytes } = packet;
    const peer = peers.get(endpointKey(head, destinationAt, addressBytes, destinationPort));
    if (peer === undefined || !packet.isTo(peer.shown)) return false;
    const { message } = this.#host.port;
    message.clear();
    if (!datagram.addTo(message, 0, dataBytes) || message.sendTo(peer.forward.fd, peer.real) < 0)
      this.#host.port.drop('hostBusy');
    return true;
  }

  onReady(id: number): void {
    const forward = this.#forwards.get(id);
    if (forward === undefined) return;
    const { port, reply, sender } = this.#host;
    for (let count = 0; count < DATAGRAMS_A_TURN; count++) {
      if (!sender.hasRoom) {
        this.#unfinished.add(id);
        return;
      }
      port.message.clear();
      port.message.addBuffer(reply.io, UDPHDR_BYTES, RECEIVE_BYTES);
      const result = port.message.receiveFrom(forward.fd);
      if (result === -EAGAIN) return;
      if (result < 0) {
        // The host has no memory, mostly: asking at once would only fail again.
        this.#unfinished.add(id);
        return port.arm(RETRY_MS);
      }
      this.#deliver(forward, port.message.peer, result);
    }
    this.#unfinished.add(id);
    port.arm(0);
  }

  goOn(): void {
    if (this.#unfinished.size === 0) return;
    const ids = [...this.#unfinished];
    this.#unfinished.clear();
    for (const id of ids) this.onReady(id);
  }

  reset(): void {
    for (const { peers } of this.#forwards.values()) peers.clear();
    this.#peers = 0;
    for (const peers of this.#byShown.values()) peers.clear();
  }

  close(): void {
    for (const id of [...this.#forwards.keys()]) this.remove(id);
  }

  get peers(): number {
    return this.#peers;
  }

  report(): {
    readonly protocol: string;
    readonly from: string;
    readonly guestPort: number;
    readonly peers: number;
  }[] {
    return [...this.#forwards.values()].map(({ fd, guestPort, peers }) => ({
      protocol: 'udp',
      from: listenerText(fd),
      guestPort,
      peers: peers.size,
    }));
  }

  #deliver(forward: Forward, real: SocketAddress, dataBytes: number): void {
    if (real.family === 'unix') return;
    const to = forward.guestAddress ?? this.#host.guestAddress();
    if (dataBytes > mostData(to)) return this.#host.port.drop('malformed'); // of a peer that has IPv6
    const peer = this.#peerOf(forward, real, to.length);
    const { reply, sender } = this.#host;
    reply.view.setUint16(UDPHDR_SOURCE, peer.shownPort);
    reply.view.setUint16(UDPHDR_DEST, forward.guestPort);
    reply.view.setUint16(UDPHDR_LEN, UDPHDR_BYTES + dataBytes);
    const route = this.#route;
    route.mac = this.#host.macOf(to);
    route.to = to;
    route.from = peer.shown;
    sender.send(route, IPPROTO_UDP, reply, UDPHDR_BYTES + dataBytes);
  }

  #peerOf(forward: Forward, real: Peer['real'], addressBytes: number): Peer {
    const realKey = endpointKey(real.address, 0, real.address.length, real.port);
    const known = forward.peers.get(realKey);
    if (known !== undefined && isPeer(known, real, addressBytes)) {
      known.heard = ++this.#heard;
      return known;
    }
    if (known !== undefined) this.#forget(known);
    if (this.#peers >= MAX_PEERS) this.#forgetOldest();
    const { shown, shownPort } = this.#show(forward, real, addressBytes);
    const shownKey = endpointKey(shown, 0, shown.length, shownPort);
    const replaced = this.#byShown.get(forward.guestPort)?.get(shownKey);
    if (replaced !== undefined) this.#forget(replaced);
    const peer: Peer = {
      forward,
      real: { ...real, address: real.address.slice() },
      shown,
      shownPort,
      realKey,
      shownKey,
      heard: ++this.#heard,
    };
    forward.peers.set(realKey, peer);
    this.#peers++;
    this.#byShown.get(forward.guestPort)?.set(shownKey, peer);
    return peer;
  }

  #forget({ forward, realKey, shownKey }: Peer): void {
    forward.peers.delete(realKey);
    this.#peers--;
    this.#byShown.get(forward.guestPort)?.delete(shownKey);
  }

  #forgetOldest(): void {
    let oldest: Peer | undefined;
    for (const { peers } of this.#forwards.values())
      for (const it of peers.values()) if (oldest === undefined || it.heard < oldest.heard) oldest = it;
    if (oldest !== undefined) this.#forget(oldest);
  }

  #show(
    { guestPort }: UdpForward,
    { address: real, port }: Peer['real'],
    addressBytes: number,
  ): { readonly shown: Uint8Array; readonly shownPort: number } {
    const { ipv4, ipv6 } = this.#host.network;
    const host = addressBytes === 4 ? ipv4.host : ipv6.host;
    const address = unmapped(real);
    const isSameFamily = address.length === addressBytes;
    const isInside = isInPrefix(address, ipv4.network, ipv4.bits) || isInPrefix(address, ipv6.network, 64);
    if (isSameFamily && !isLoopback(address) && !isInside) return { shown: address.slice(), shownPort: port };
    const asItIs = this.#byShown.get(guestPort)?.get(endpointKey(host, 0, host.length, port));
    if (isSameFamily && asItIs === undefined) return { shown: host, shownPort: port };
    return { shown: host, shownPort: FIRST_ALIAS + (this.#nextAlias++ % ALIASES) };
  }
}

/** Keys of IPv6 may meet; and the guest's address may be of the other family now. */
function isPeer({ real, shown }: Peer, other: Peer['real'], addressBytes: number): boolean {
  if (shown.length !== addressBytes || real.port !== other.port) return false;
  return sameBytes(real.address, other.address) && scopeOf(real) === scopeOf(other);
}

function scopeOf(address: Peer['real']): number {
  return address.family === 'ipv6' ? (address.scope ?? 0) : 0;
}

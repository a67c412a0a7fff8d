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
import { isInPrefix } from './addresses.ts';
import { isLoopback, unmapped } from './destinations.ts';
import { endpointKey } from './endpointKey.ts';
import type { OutgoingDatagram } from './outgoingDatagram.ts';
import type { IpPacket } from './packet/ipPacket.ts';
import { listenerText } from './tcpForwards.ts';
import { DATAGRAMS_A_TURN, TAG_UDP_FORWARD, tagOf, type UserHost } from './userHost.ts';

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

interface Peer {
  readonly fd: number;
  readonly forwardId: number;
  readonly guestPort: number;
  readonly real: SocketAddress & { readonly family: 'ipv4' | 'ipv6' };
  readonly shown: Uint8Array;
  readonly shownPort: number;
  /** Of its addresses as they are, and as the guest sees them. */
  readonly realKey: string;
  readonly shownKey: number;
}

export class UdpForwards {
  readonly #host: UserHost;
  readonly #forwards = new Map<number, UdpForward>();
  /** The one that was heard of last is at the end. */
  readonly #byReal = new Map<string, Peer>();
  /** By the guest's port, then by what the guest takes for the peer's endpoint. */
  readonly #byShown = new Map<number, Map<number, Peer>>();
  readonly #unfinished = new Set<number>();
  #nextAlias = 0;

  constructor(host: UserHost) {
    this.#host = host;
  }

  /** Owns its descriptor from now on. */
  add(forward: UdpForward): void {
    this.#forwards.set(forward.id, forward);
    if (!this.#byShown.has(forward.guestPort)) this.#byShown.set(forward.guestPort, new Map());
    this.#host.port.poller.add(forward.fd, tagOf(TAG_UDP_FORWARD, forward.id), EPOLLIN | EPOLLET);
  }

  remove(id: number): void {
    const forward = this.#forwards.get(id);
    if (forward === undefined) return;
    this.#forwards.delete(id);
    this.#unfinished.delete(id);
    for (const peer of [...this.#byReal.values()]) if (peer.forwardId === id) this.#forget(peer);
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
    if (!datagram.addTo(message, 0, dataBytes) || message.sendTo(peer.fd, peer.real) < 0)
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
      port.message.addBuffer(reply.io, UDPHDR_BYTES, MAX_RECEIVE_BYTES);
      const result = port.message.receiveFrom(forward.fd);
      if (result === -EAGAIN) return;
      if (result >= 0) this.#deliver(forward, port.message.peer, result);
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
    this.#byReal.clear();
    for (const peers of this.#byShown.values()) peers.clear();
  }

  close(): void {
    for (const id of [...this.#forwards.keys()]) this.remove(id);
  }

  get peers(): number {
    return this.#byReal.size;
  }

  report(): {
    readonly protocol: string;
    readonly from: string;
    readonly guestPort: number;
    readonly peers: number;
  }[] {
    return [...this.#forwards.values()].map(({ id, fd, guestPort }) => ({
      protocol: 'udp',
      from: listenerText(fd),
      guestPort,
      peers: [...this.#byReal.values()].filter((it) => it.forwardId === id).length,
    }));
  }

  #deliver(forward: UdpForward, real: SocketAddress, dataBytes: number): void {
    if (real.family === 'unix') return;
    const to = forward.guestAddress ?? this.#host.guestAddress();
    const peer = this.#peerOf(forward, real, to.length);
    const { reply, sender } = this.#host;
    reply.view.setUint16(UDPHDR_SOURCE, peer.shownPort);
    reply.view.setUint16(UDPHDR_DEST, forward.guestPort);
    reply.view.setUint16(UDPHDR_LEN, UDPHDR_BYTES + dataBytes);
    const route = { mac: this.#host.macOf(to), to, from: peer.shown };
    sender.send(route, IPPROTO_UDP, reply, UDPHDR_BYTES + dataBytes);
  }

  #peerOf(forward: UdpForward, real: Peer['real'], addressBytes: number): Peer {
    const realKey = `${forward.id} ${addressBytes} ${real.port} ${real.address.join('.')}`;
    const known = this.#byReal.get(realKey);
    if (known !== undefined) {
      this.#byReal.delete(realKey);
      this.#byReal.set(realKey, known);
      return known;
    }
    const [oldest] = this.#byReal.size >= MAX_PEERS ? this.#byReal.values() : [];
    if (oldest !== undefined) this.#forget(oldest);
    const { shown, shownPort } = this.#show(forward, real, addressBytes);
    const shownKey = endpointKey(shown, 0, shown.length, shownPort);
    const replaced = this.#byShown.get(forward.guestPort)?.get(shownKey);
    if (replaced !== undefined) this.#forget(replaced);
    const peer: Peer = {
      fd: forward.fd,
      forwardId: forward.id,
      guestPort: forward.guestPort,
      real: { ...real, address: real.address.slice() },
      shown,
      shownPort,
      realKey,
      shownKey,
    };
    this.#byReal.set(realKey, peer);
    this.#byShown.get(forward.guestPort)?.set(shownKey, peer);
    return peer;
  }

  #forget(peer: Peer): void {
    this.#byReal.delete(peer.realKey);
    this.#byShown.get(peer.guestPort)?.delete(peer.shownKey);
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

const MAX_RECEIVE_BYTES = 65507;

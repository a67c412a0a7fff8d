/**
 * Connections from outside to the guest: accepts them of sockets that main has opened, and hands them to TCP.
 * What the guest does not take waits in the socket's backlog.
 */
import { EPOLLET, EPOLLIN } from '../../../abi/epoll.ts';
import { addressText } from '../../../bus/socketAddress.ts';
import { EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM } from '../../../kvm/errno.ts';
import { closeFd } from '../../../kvm/libc.ts';
import { acceptFrom, localAddress, peerAddress } from '../../../kvm/net/sockets.ts';
import { isInPrefix } from './addresses.ts';
import { isLoopback, unmapped } from './destinations.ts';
import type { Endpoint } from './tcp/tcpHost.ts';
import { TAG_TCP_FORWARD, tagOf, type UserHost } from './userHost.ts';

/** As main has opened it: a socket that listens. */
export interface TcpForward {
  readonly id: number;
  readonly fd: number;
  readonly guestPort: number;
  /** Undefined: the guest's own. */
  readonly guestAddress: Uint8Array | undefined;
}

/** TcpNat.openToGuest, which owns the descriptor. */
export type OpenToGuest = (fd: number, from: Endpoint, to: Endpoint) => void;

const ACCEPTS_A_TURN = 16;
/** Ports of the virtual host for clients that have none. */
const FIRST_PORT = 32_768;
const PORTS = 28_000;
const FULL_MS = 100;
const NOWHERE: Uint8Array = new Uint8Array(0);

/** The connection stays where it is: accepting it again at once would only fail again. */
const NO_ROOM: readonly number[] = [EMFILE, ENFILE, ENOBUFS, ENOMEM];

export class TcpForwards {
  readonly #host: UserHost;
  readonly #open: OpenToGuest;
  readonly #forwards = new Map<number, TcpForward>();
  readonly #unfinished = new Set<number>();
  #nextPort = 0;
  accepted = 0;

  constructor(host: UserHost, open: OpenToGuest) {
    this.#host = host;
    this.#open = open;
  }

  /** Owns its descriptor from now on. */
  add(forward: TcpForward): void {
    this.#forwards.set(forward.id, forward);
    this.#host.port.poller.add(forward.fd, tagOf(TAG_TCP_FORWARD, forward.id), EPOLLIN | EPOLLET);
  }

  /** Connections that were accepted go on. */
  remove(id: number): void {
    const forward = this.#forwards.get(id);
    if (forward === undefined) return;
    this.#forwards.delete(id);
    this.#unfinished.delete(id);
    this.#host.port.poller.remove(forward.fd);
    closeFd(forward.fd);
  }

  onReady(id: number): void {
    const forward = this.#forwards.get(id);
    if (forward === undefined) return;
    const before = this.accepted;
    for (let count = 0; count < ACCEPTS_A_TURN; count++) {
      const fd = acceptFrom(forward.fd);
      if (fd === -EAGAIN) return;
      if (NO_ROOM.includes(-fd)) {
        this.#host.troubleOnce('the host gives no more sockets: connections to the guest wait');
        this.#unfinished.add(id);
        return this.#host.port.arm(FULL_MS);
      }
      if (fd < 0) continue; // it has gone again (accept(2))
      this.accepted++;
      this.#connect(fd, forward);
    }
    this.#unfinished.add(id);
    this.#host.port.arm(this.accepted === before ? FULL_MS : 0); // an error may last
  }

  goOn(): void {
    if (this.#unfinished.size === 0) return;
    const ids = [...this.#unfinished];
    this.#unfinished.clear();
    for (const id of ids) this.onReady(id);
  }

  close(): void {
    for (const id of [...this.#forwards.keys()]) this.remove(id);
  }

  report(): { readonly protocol: string; readonly from: string; readonly guestPort: number }[] {
    return [...this.#forwards.values()].map(({ fd, guestPort }) => ({
      protocol: 'tcp',
      from: listenerText(fd),
      guestPort,
    }));
  }

  #connect(fd: number, { guestAddress, guestPort }: TcpForward): void {
    const to = guestAddress ?? this.#host.guestAddress();
    const { ipv4, ipv6 } = this.#host.network;
    const virtualHost = to.length === 4 ? ipv4.host : ipv6.host;
    const peer = peerAddress(fd);
    const isIp = typeof peer !== 'number' && peer.family !== 'unix';
    const address = isIp ? unmapped(peer.address) : NOWHERE;
    const isShown =
      isIp &&
      address.length === to.length &&
      !isLoopback(address) &&
      !isInPrefix(address, ipv4.network, ipv4.bits) &&
      !isInPrefix(address, ipv6.network, 64);
    const from = isShown
      ? { address, port: peer.port }
      : { address: virtualHost, port: FIRST_PORT + (this.#nextPort++ % PORTS) };
    this.#open(fd, from, { address: to, port: guestPort });
  }
}

/** For people: where a forward's socket listens. */
export function listenerText(fd: number): string {
  const address = localAddress(fd);
  return typeof address === 'number' ? 'unknown' : addressText(address);
}

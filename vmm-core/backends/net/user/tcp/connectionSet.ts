/** The connections that there are, from the first SYN to the last: their numbers, sockets and limits. */
import { randomFillSync } from 'node:crypto';
import { EPOLLET, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from '../../../../abi/epoll.ts';
import { ConnectionTable } from './connectionTable.ts';
import type { TcpConnection } from './tcpConnection.ts';
import type { Endpoint, TcpHost } from './tcpHost.ts';

/** Connections that are not open yet: a flood of SYNs ends here, 1 000 connections at once do not. */
export const MAX_HALF_OPEN = 1024;
const EVENTS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

const FIRST_SPARE_PORT = 49152; // RFC 6335 §6
const SPARE_PORTS = 16384;
const PORT_TRIES = 16;
/** RFC 6528 §3: the clock ticks every 4 µs. */
const TICKS_PER_MS = 250;

export class ConnectionSet {
  readonly table = new ConnectionTable();
  halfOpen = 0;
  readonly #host: TcpHost;
  readonly #secret = randomFillSync(new Int32Array(1));

  constructor(host: TcpHost) {
    this.#host = host;
  }

  /** No more, for now. Those that are over make room. */
  isCrowded(): boolean {
    if (this.halfOpen >= MAX_HALF_OPEN) return true;
    if (this.table.isFull)
      this.table.forEach((it) => {
        if (it.state === 'timeWait') this.close(it, false);
      });
    return this.table.isFull;
  }

  /** Who looked for its key in the table found none. */
  enter(connection: TcpConnection): void {
    this.table.add(connection);
    this.halfOpen++;
    connection.sndUna = this.#initialSequence(connection);
    connection.sndNxt = (connection.sndUna + 1) | 0;
  }

  /** False: the host cannot. */
  watch({ fd, tag }: TcpConnection): boolean {
    const { port, sockets, tagBase } = this.#host;
    sockets.prepare(fd);
    return port.poller.add(fd, tagBase + tag, EVENTS) >= 0;
  }

  opened(connection: TcpConnection): void {
    connection.state = 'open';
    this.halfOpen--;
  }

  /** The guest is to be told (SegmentWriter.reset); then it is closed. */
  break(connection: TcpConnection, isAborted: boolean): void {
    this.closeSocket(connection, isAborted);
    if (isHalfOpen(connection)) this.halfOpen--;
    connection.state = 'broken';
    connection.toHost.clear();
    connection.toGuest.clear();
  }

  /** With its socket. `isAborted`: the host's peer is told that it was no regular end. */
  close(connection: TcpConnection, isAborted: boolean): void {
    if (connection.state === 'closed') return;
    this.closeSocket(connection, isAborted);
    if (isHalfOpen(connection)) this.halfOpen--;
    connection.state = 'closed';
    connection.toHost.clear();
    connection.toGuest.clear();
    this.table.remove(connection);
  }

  closeSocket(connection: TcpConnection, isAborted: boolean): void {
    const { fd } = connection;
    if (fd < 0) return;
    connection.fd = -1;
    this.#host.port.poller.remove(fd);
    if (isAborted) this.#host.sockets.abort(fd);
    else this.#host.sockets.close(fd);
  }

  /** For a connection to the guest: `from`, with another port where that one is taken; undefined: all are. */
  freePeer(from: Endpoint, to: Endpoint): Endpoint | undefined {
    const isFree = (port: number): boolean =>
      this.table.findOf(to.address, to.port, from.address, port) === undefined;
    if (isFree(from.port)) return from;
    for (let i = 0; i < PORT_TRIES; i++) {
      const port = FIRST_SPARE_PORT + Math.floor(Math.random() * SPARE_PORTS);
      if (isFree(port)) return { ...from, port };
    }
    return undefined;
  }

  /** A clock, and a secret of each connection's. */
  #initialSequence({ key }: TcpConnection): number {
    let hash = this.#secret[0] ?? 0;
    for (const word of key) hash = Math.imul(hash ^ word, 0x5bd1_e995) ^ (hash >>> 15);
    return (hash + this.#host.now() * TICKS_PER_MS) | 0;
  }
}

function isHalfOpen({ state }: TcpConnection): boolean {
  return state === 'connecting' || state === 'synSent' || state === 'synReceived';
}

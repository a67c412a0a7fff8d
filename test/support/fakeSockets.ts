/**
 * The host's stream sockets without a kernel: a test is at the other end of each, and says how much they take
 * and what fails. Readiness is told as epoll(7) tells it with EPOLLET: once, when it begins.
 */
import { constants } from 'node:os';
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from '../../vmm-core/abi/epoll.ts';
import type { HostSockets } from '../../vmm-core/backends/net/user/tcp/tcpHost.ts';
import type { MessageIo } from '../../vmm-core/bus/messageIo.ts';
import type { SocketAddress } from '../../vmm-core/bus/socketAddress.ts';
import type { IoBuffer } from '../../vmm-core/memory/ioBuffer.ts';
import { FakePoller } from './fakePoller.ts';

/** What a call does instead: fail with an errno, or move at most so many bytes. */
export type SocketFault = { readonly errno: number } | { readonly shortBytes: number } | undefined;
export type SocketCall = 'open' | 'connect' | 'send' | 'receive';

const FIRST_FD = 1000;
const { EAGAIN, ECONNREFUSED, ECONNRESET, EINPROGRESS, EPIPE } = constants.errno;

/** One end is the product's, by its descriptor; the methods here are the other's. */
export class FakeSocket {
  readonly fd: number;
  /** Of `connect`. */
  address: SocketAddress | undefined;
  /** What has come through the product's end. */
  readonly received: Uint8Array[] = [];
  receivedBytes = 0;
  isClosed = false;
  /** SHUT_WR by the product. */
  isShut = false;
  /** The product broke it off. */
  isAborted = false;
  isPrepared = false;
  /** What the product may send before it is taken. */
  roomBytes = Infinity;
  state: 'new' | 'connecting' | 'open' | 'refused' | 'reset' = 'new';
  readonly #host: FakeSockets;
  #outgoing: Uint8Array[] = [];
  #hasEnded = false;
  /** Of a connection that was refused. */
  errno = ECONNREFUSED;
  /** Somebody waits for EPOLLOUT. */
  wantsRoom = false;

  constructor(host: FakeSockets, fd: number) {
    this.#host = host;
    this.fd = fd;
  }

  /** The connection that the product has asked for is there, or has failed with an errno. */
  answer(isAccepted: boolean, errno = ECONNREFUSED): void {
    this.errno = errno;
    this.state = isAccepted ? 'open' : 'refused';
    this.#host.poller.ready(this.fd, isAccepted ? EPOLLOUT : EPOLLOUT | EPOLLERR | EPOLLHUP);
  }

  write(bytes: Uint8Array): void {
    this.#outgoing.push(bytes);
    this.#host.poller.ready(this.fd, EPOLLIN | EPOLLOUT);
  }

  end(): void {
    this.#hasEnded = true;
    this.#host.poller.ready(this.fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
  }

  reset(): void {
    this.state = 'reset';
    this.#host.poller.ready(this.fd, EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLRDHUP);
  }

  /** More room for what the product sends. */
  giveRoom(bytes: number): void {
    this.roomBytes += bytes;
    if (!this.wantsRoom || this.roomBytes <= 0) return;
    this.wantsRoom = false;
    this.#host.poller.ready(this.fd, EPOLLOUT);
  }

  /** The kernel has said EAGAIN: it will tell when that is over. */
  againSoon(): void {
    this.#host.later.push(() => this.#host.poller.ready(this.fd, EPOLLIN | EPOLLOUT));
  }

  bytes(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.received));
  }

  /** The product has sent all. */
  get isEnded(): boolean {
    return this.isShut || (this.isClosed && !this.isAborted);
  }

  get unreadBytes(): number {
    return this.#outgoing.reduce((sum, it) => sum + it.length, 0);
  }

  /** By the product. */
  send(pieces: readonly Uint8Array[], most: number): number {
    if (this.state === 'reset') return -ECONNRESET;
    if (this.isShut || this.state !== 'open') return -EPIPE;
    const all = new Uint8Array(Buffer.concat(pieces));
    const bytes = Math.min(all.length, most, Math.max(0, this.roomBytes));
    if (bytes < Math.min(all.length, most)) this.wantsRoom = true;
    if (bytes === 0) return -EAGAIN;
    this.roomBytes -= bytes;
    this.received.push(all.slice(0, bytes));
    this.receivedBytes += bytes;
    return bytes;
  }

  /** By the product. */
  receive(pieces: readonly Uint8Array[], most: number): number {
    let filled = 0;
    for (const piece of pieces)
      for (let at = 0; at < piece.length && filled < most;) {
        const next = this.#outgoing[0];
        if (next === undefined) return filled > 0 ? filled : this.#nothing();
        const part = next.subarray(0, Math.min(piece.length - at, most - filled));
        piece.set(part, at);
        at += part.length;
        filled += part.length;
        if (part.length < next.length) this.#outgoing[0] = next.subarray(part.length);
        else this.#outgoing.shift();
      }
    return filled;
  }

  #nothing(): number {
    if (this.state === 'reset') return -ECONNRESET;
    return this.#hasEnded ? 0 : -EAGAIN;
  }
}

export class FakeSockets implements HostSockets {
  readonly poller: FakePoller;
  readonly message: MessageIo = new FakeMessage(this);
  /** All there ever were. */
  readonly all: FakeSocket[] = [];
  /** `later`: the test answers. */
  /** Events that come a bit later. */
  readonly later: (() => void)[] = [];
  onConnect: (socket: FakeSocket) => 'now' | 'refuse' | 'later' = () => 'now';
  fault: (call: SocketCall, socket: FakeSocket | undefined) => SocketFault = () => undefined;

  constructor(onReady: (tag: number, events: number) => void) {
    this.poller = new FakePoller(onReady);
  }

  get openFds(): number {
    return this.all.filter((it) => !it.isClosed).length;
  }

  /** As accept(2) makes one. */
  accepted(): FakeSocket {
    const socket = this.#make();
    socket.state = 'open';
    return socket;
  }

  of(fd: number): FakeSocket {
    const socket = this.all[fd - FIRST_FD];
    if (socket === undefined || socket.isClosed) throw new Error(`descriptor ${fd} is not open`);
    return socket;
  }

  open(): number {
    const fault = this.fault('open', undefined);
    if (fault !== undefined && 'errno' in fault) return -fault.errno;
    return this.#make().fd;
  }

  prepare(fd: number): void {
    this.of(fd).isPrepared = true;
  }

  connect(fd: number, address: SocketAddress): number {
    const socket = this.of(fd);
    const fault = this.fault('connect', socket);
    if (fault !== undefined && 'errno' in fault) return -fault.errno;
    socket.address = address;
    const answer = this.onConnect(socket);
    if (answer === 'refuse') return -ECONNREFUSED;
    socket.state = answer === 'now' ? 'open' : 'connecting';
    return answer === 'now' ? 0 : -EINPROGRESS;
  }

  pendingError(fd: number): number {
    const { state, errno } = this.of(fd);
    return state === 'refused' ? errno : 0;
  }

  shutdownWrite(fd: number): void {
    this.of(fd).isShut = true;
  }

  close(fd: number): void {
    if (this.poller.entries.has(fd)) throw new Error(`descriptor ${fd} is still polled`);
    this.of(fd).isClosed = true;
  }

  abort(fd: number): void {
    this.of(fd).isAborted = true;
    this.close(fd);
  }

  #make(): FakeSocket {
    const socket = new FakeSocket(this, FIRST_FD + this.all.length);
    this.all.push(socket);
    return socket;
  }
}

class FakeMessage implements MessageIo {
  readonly #host: FakeSockets;
  #pieces: Uint8Array[] = [];
  readonly peer: SocketAddress = { family: 'unix', path: '' };
  readonly failure = { errno: 0, isLocal: false, mtu: 0 };
  readonly isCut = false;

  constructor(host: FakeSockets) {
    this.#host = host;
  }

  clear(): void {
    this.#pieces = [];
  }

  addGuest(): boolean {
    return false;
  }

  addBuffer(buffer: IoBuffer, offset: number, lengthBytes: number): boolean {
    if (!(offset >= 0 && lengthBytes > 0 && offset + lengthBytes <= buffer.bytes.length)) return false;
    this.#pieces.push(buffer.bytes.subarray(offset, offset + lengthBytes));
    return true;
  }

  get lengthBytes(): number {
    return this.#pieces.reduce((sum, it) => sum + it.length, 0);
  }

  fill(): boolean {
    throw new Error('no socket is part of it');
  }

  copyTo(): boolean {
    throw new Error('no socket is part of it');
  }

  send(fd: number): number {
    return this.#call('send', fd, (socket, most) => socket.send(this.#pieces, most));
  }

  receive(fd: number): number {
    if (this.lengthBytes === 0) throw new Error('a receive into nothing looks like the end');
    return this.#call('receive', fd, (socket, most) => socket.receive(this.#pieces, most));
  }

  sendTo(): number {
    throw new Error('not a datagram');
  }

  receiveFailure(): number {
    throw new Error('not a datagram');
  }

  receiveFrom(): number {
    throw new Error('not a datagram');
  }

  writev(): number {
    throw new Error('not a tap');
  }

  readv(): number {
    throw new Error('not a tap');
  }

  #call(call: SocketCall, fd: number, perform: (socket: FakeSocket, most: number) => number): number {
    const socket = this.#host.of(fd);
    const fault = this.#host.fault(call, socket);
    if (fault === undefined) return perform(socket, Infinity);
    if ('errno' in fault) {
      if (fault.errno === ECONNRESET) socket.state = 'reset';
      return -fault.errno;
    }
    return perform(socket, Math.max(1, fault.shortBytes));
  }
}

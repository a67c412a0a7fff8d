/**
 * Sockets that do not block, and are closed on exec. Results are as the kernel gives them: descriptors,
 * bytes, 0, or -errno; `closeFd` (libc.ts) closes them. Any thread. kvm/net/messageIo.ts moves their data.
 */
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  Linger,
  SIOCOUTQ,
  SO_ERROR,
  SO_LINGER,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCKADDR_STORAGE_BYTES,
  SOL_SOCKET,
} from '../../abi/socket.ts';
import type { SocketAddress } from '../../bus/socketAddress.ts';
import { closeFd, tryIoctlStruct } from '../libc.ts';
import { NameReader, nameOf } from './socketName.ts';
import {
  accept4,
  bind,
  connect,
  getpeername,
  getsockname,
  getsockopt,
  listen,
  setsockopt,
  shutdown,
  socket,
  socketpair,
} from './syscalls.ts';

const NEW_SOCKET = SOCK_NONBLOCK | SOCK_CLOEXEC;
const INT_BYTES = 4;

/** Of an address's family. */
export const FAMILIES: Readonly<Record<SocketAddress['family'], number>> = {
  ipv4: AF_INET,
  ipv6: AF_INET6,
  unix: AF_UNIX,
};

/** `family`: AF_…, `type`: SOCK_…, `protocol`: IPPROTO_…, 0: the type's own. */
export function openSocket(family: number, type: number, protocol = 0): number {
  return socket(family, type | NEW_SOCKET, protocol);
}

/** Two that are connected (AF_UNIX), or -errno. */
export function socketPair(type: number): readonly [one: number, other: number] | number {
  const fds = new Int32Array(2);
  const result = socketpair(AF_UNIX, type | NEW_SOCKET, fds);
  return result < 0 ? result : [fds[0] ?? -1, fds[1] ?? -1];
}

export function bindSocket(fd: number, address: SocketAddress): number {
  const name = nameOf(address);
  return typeof name === 'number' ? name : bind(fd, name);
}

/** -EINPROGRESS is usual: EPOLLOUT then says when it is over, and `pendingError` how. */
export function connectSocket(fd: number, address: SocketAddress): number {
  const name = nameOf(address);
  return typeof name === 'number' ? name : connect(fd, name);
}

export function listenOn(fd: number, backlog: number): number {
  return listen(fd, backlog);
}

/** The new descriptor; -EAGAIN: there is none. `peerAddress` says whose. */
export function acceptFrom(fd: number): number {
  return accept4(fd, NEW_SOCKET);
}

export function localAddress(fd: number): SocketAddress | number {
  return addressBy(getsockname, fd);
}

export function peerAddress(fd: number): SocketAddress | number {
  return addressBy(getpeername, fd);
}

/** `how`: SHUT_… */
export function shutdownSocket(fd: number, how: number): number {
  return shutdown(fd, how);
}

/** SO_ERROR, which reading clears: 0 or an errno, positive; that of the question itself negative. */
export function pendingError(fd: number): number {
  return getOption(fd, SOL_SOCKET, SO_ERROR);
}

/** An option that is an int, or -errno. */
export function getOption(fd: number, level: number, name: number): number {
  const value = new Uint8Array(INT_BYTES);
  const result = getsockopt(fd, level, name, value);
  return result < 0 ? result : new DataView(value.buffer).getInt32(0, true);
}

export function setOption(fd: number, level: number, name: number, value: number): number {
  const bytes = new Uint8Array(INT_BYTES);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return setsockopt(fd, level, name, bytes);
}

/** Closes it. Of TCP: what was not sent is lost, and the peer is told that the connection was broken off. */
export function abortSocket(fd: number): void {
  setsockopt(fd, SOL_SOCKET, SO_LINGER, Linger.bytes({ l_onoff: 1, l_linger: 0 }));
  closeFd(fd);
}

/** Of TCP: that the peer has not acknowledged; or -errno. */
export function unsentBytes(fd: number): number {
  const bytes = new Int32Array(1);
  const result = tryIoctlStruct(fd, SIOCOUTQ, bytes);
  return result < 0 ? result : (bytes[0] ?? 0);
}

function addressBy(ask: (fd: number, name: Uint8Array) => number, fd: number): SocketAddress | number {
  const name = new Uint8Array(SOCKADDR_STORAGE_BYTES);
  const lengthBytes = ask(fd, name);
  if (lengthBytes < 0) return lengthBytes;
  const reader = new NameReader();
  const result = reader.read(name, lengthBytes);
  return result < 0 ? result : reader.last;
}

/**
 * Opens what the outside comes in by: sockets that listen, or are bound, before the guest runs, so that a
 * busy port is an error of the start. Main thread; the link on the I/O thread owns them from then on.
 */
import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  SO_REUSEADDR,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
} from '../../../abi/socket.ts';
import { IPPROTO_IPV6, IPV6_V6ONLY } from '../../../abi/inet.ts';
import { addressText, ipText, LOOPBACK4, parseIp, type SocketAddress } from '../../../bus/socketAddress.ts';
import { kindOfFile, quoted } from '../../../client/regularFile.ts';
import { type ForwardConfig, forwardText } from '../../../config/settings/forwards.ts';
import { errnoText, UserError } from '../../../errors.ts';
import { EACCES, EADDRINUSE, EADDRNOTAVAIL, ECONNREFUSED, ENAMETOOLONG } from '../../../kvm/errno.ts';
import { closeFd } from '../../../kvm/libc.ts';
import { bindSocket, connectSocket, listenOn, openSocket, setOption } from '../../../kvm/net/sockets.ts';
import { portHolder } from './portHolder.ts';
import type { TcpForward } from './tcpForwards.ts';

const BACKLOG = 128;
const FIRST_FREE_PORT = 1024;

type ForwardProtocol = 'tcp' | 'udp';

/** What is open of one ForwardConfig. */
export interface OpenForward {
  readonly config: ForwardConfig;
  readonly protocol: ForwardProtocol;
  /** One for each port of a range; the two kinds look alike (UdpForward). */
  readonly sockets: readonly TcpForward[];
  /** Ours to remove. */
  readonly path: string | undefined;
}

let nextId = 0;

/** Throws UserError; then nothing of it is open. */
export function openForward(config: ForwardConfig): OpenForward {
  const { protocol, hostPath, guestPort, count = 1 } = config;
  const hostPort = config.hostPort ?? guestPort;
  const to = config.guestAddress === undefined ? undefined : parseIp(config.guestAddress);
  const sockets: TcpForward[] = [];
  try {
    for (let index = 0; index < (hostPath === undefined ? count : 1); index++) {
      const fd =
        hostPath === undefined
          ? openPort(protocol, hostAddressOf(config.hostAddress), hostPort + index)
          : openPath(hostPath);
      sockets.push({ id: nextId++ % 2 ** 24, fd, guestPort: guestPort + index, guestAddress: to });
    }
  } catch (error) {
    for (const { fd } of sockets) closeFd(fd);
    throw error;
  }
  return { config, protocol, sockets, path: hostPath };
}

/** The same forward, however it is written. */
export function isSameForward(a: ForwardConfig, b: ForwardConfig): boolean {
  return fullText(a) === fullText(b);
}

/** Removes the name of a unix socket, if it still is one. */
export function removePath(path: string | undefined): void {
  if (path === undefined) return;
  try {
    if (lstatSync(path).isSocket()) unlinkSync(path);
  } catch {
    // somebody else has: it is gone
  }
}

/** A unix socket that listens, for us alone. Throws UserError. */
export function openPath(path: string): number {
  removeStale(path);
  const fd = opened(openSocket(AF_UNIX, SOCK_STREAM), path);
  const result = bindSocket(fd, { family: 'unix', path });
  if (result < 0) {
    closeFd(fd);
    const reason = result === -ENAMETOOLONG ? 'the path is too long for a socket' : errnoText(-result);
    throw new UserError(`cannot listen on ${quoted(path)}: ${reason}`);
  }
  chmodSync(path, 0o600);
  listenOn(fd, BACKLOG);
  return fd;
}

function openPort(protocol: ForwardProtocol, address: Uint8Array, port: number): number {
  const isTcp = protocol === 'tcp';
  const name = addressOf(address, port);
  const text = addressText(name);
  const fd = opened(
    openSocket(name.family === 'ipv6' ? AF_INET6 : AF_INET, isTcp ? SOCK_STREAM : SOCK_DGRAM),
    text,
  );
  // `::` is everything, IPv4 as well.
  if (name.family === 'ipv6')
    setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, address.every((byte) => byte === 0) ? 0 : 1);
  if (isTcp) setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  let result = bindSocket(fd, name);
  if (result === 0 && isTcp) result = listenOn(fd, BACKLOG);
  if (result === 0) return fd;
  closeFd(fd);
  throw new UserError(portError(protocol, address, port, text, -result));
}

function portError(
  protocol: ForwardProtocol,
  address: Uint8Array,
  port: number,
  text: string,
  errno: number,
): string {
  const what = `cannot forward ${protocol} ${text} to the guest`;
  switch (errno) {
    case EADDRINUSE: {
      const holder = portHolder(protocol, address.length === 16, port);
      return `${what}: the port is in use${holder === undefined ? '' : ` by ${holder}`}; take another or end that`;
    }
    case EADDRNOTAVAIL:
      return `${what}: this host has no such address`;
    case EACCES:
      return port < FIRST_FREE_PORT
        ? `${what}: ports below ${FIRST_FREE_PORT} need a privilege; take another, as ${8000 + (port % 1000)}`
        : `${what}: ${errnoText(errno)}`;
    default:
      return `${what}: ${errnoText(errno)}`;
  }
}

/** What we left there when we were killed is replaced; whatever else is there is somebody's. */
function removeStale(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket())
    throw new UserError(`cannot listen on ${quoted(path)}: there is ${kindOfFile(found)} of that name`);
  if (found.uid !== process.getuid?.())
    throw new UserError(`cannot listen on ${quoted(path)}: the socket there belongs to another user`);
  const fd = opened(openSocket(AF_UNIX, SOCK_STREAM), path);
  const result = connectSocket(fd, { family: 'unix', path });
  closeFd(fd);
  if (result !== -ECONNREFUSED)
    throw new UserError(`cannot listen on ${quoted(path)}: another program listens there; take another path`);
  unlinkSync(path);
}

function opened(fd: number, what: string): number {
  if (fd >= 0) return fd;
  throw new UserError(`cannot open a socket for ${what}: ${errnoText(-fd)}`);
}

/** What a configuration names is an address (config/settings/forwards.ts). */
function hostAddressOf(text: string | undefined): Uint8Array {
  return (text === undefined ? undefined : parseIp(text)) ?? LOOPBACK4;
}

export function addressOf(address: Uint8Array, port: number): SocketAddress {
  return { family: address.length === 4 ? 'ipv4' : 'ipv6', address, port };
}

function fullText(config: ForwardConfig): string {
  const { hostPath, hostAddress, hostPort, guestPort } = config;
  if (hostPath !== undefined) return forwardText(config);
  const address = ipText(hostAddressOf(hostAddress));
  return forwardText({ ...config, hostAddress: address, hostPort: hostPort ?? guestPort });
}

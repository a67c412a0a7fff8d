/** An address as the kernel has it, struct sockaddr_…, from and to bytes. */
import { SOCKADDR_IN, SOCKADDR_IN6, SOCKADDR_IN6_BYTES, SOCKADDR_IN_BYTES } from '../../abi/inet.ts';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  SOCKADDR_STORAGE_BYTES,
  SOCKADDR_UN_PATH,
  SOCKADDR_UN_PATH_BYTES,
} from '../../abi/socket.ts';
import type { SocketAddress } from '../../bus/socketAddress.ts';
import { EAFNOSUPPORT, EINVAL, ENAMETOOLONG } from '../errno.ts';

const IPV4_BYTES = 4;
const IPV6_BYTES = 16;

/** Writes it to the beginning of `into`, SOCKADDR_STORAGE_BYTES long. Its length, or -errno. */
export function writeName(into: Uint8Array, address: SocketAddress): number {
  switch (address.family) {
    case 'ipv4':
      if (address.address.length !== IPV4_BYTES) return -EINVAL;
      begin(into, SOCKADDR_IN_BYTES, AF_INET);
      writePort(into, SOCKADDR_IN.sin_port, address.port);
      into.set(address.address, SOCKADDR_IN.sin_addr);
      return SOCKADDR_IN_BYTES;
    case 'ipv6':
      if (address.address.length !== IPV6_BYTES) return -EINVAL;
      begin(into, SOCKADDR_IN6_BYTES, AF_INET6);
      writePort(into, SOCKADDR_IN6.sin6_port, address.port);
      into.set(address.address, SOCKADDR_IN6.sin6_addr);
      writeScope(into, address.scope ?? 0);
      return SOCKADDR_IN6_BYTES;
    case 'unix':
      return writePath(into, address.path);
  }
}

/** By itself, for calls that are not in the hot path. Or -errno. */
export function nameOf(address: SocketAddress): Uint8Array | number {
  const bytes = new Uint8Array(SOCKADDR_STORAGE_BYTES);
  const length = writeName(bytes, address);
  return length < 0 ? length : bytes.slice(0, length);
}

/** Reads names of IP into objects that are used again. */
export class NameReader {
  readonly #ipv4 = { family: 'ipv4' as const, address: new Uint8Array(IPV4_BYTES), port: 0 };
  readonly #ipv6 = { family: 'ipv6' as const, address: new Uint8Array(IPV6_BYTES), port: 0, scope: 0 };
  #last: SocketAddress = this.#ipv4;

  /** What was read last. */
  get last(): SocketAddress {
    return this.#last;
  }

  /** 0, or -errno when it is of another family; `lengthBytes` of it are in `from`. */
  read(from: Uint8Array, lengthBytes: number): number {
    const family = lengthBytes < 2 ? AF_UNIX : (from[0] ?? 0) | ((from[1] ?? 0) << 8);
    switch (family) {
      case AF_INET:
        copy(this.#ipv4.address, from, SOCKADDR_IN.sin_addr);
        this.#ipv4.port = readPort(from, SOCKADDR_IN.sin_port);
        this.#last = this.#ipv4;
        return 0;
      case AF_INET6:
        copy(this.#ipv6.address, from, SOCKADDR_IN6.sin6_addr);
        this.#ipv6.port = readPort(from, SOCKADDR_IN6.sin6_port);
        this.#ipv6.scope = readScope(from);
        this.#last = this.#ipv6;
        return 0;
      case AF_UNIX:
        this.#last = { family: 'unix', path: readPath(from, lengthBytes) };
        return 0;
      default:
        return -EAFNOSUPPORT;
    }
  }
}

function begin(into: Uint8Array, lengthBytes: number, family: number): void {
  into.fill(0, 0, lengthBytes);
  into[0] = family; // of the host's byte order
}

function writePort(into: Uint8Array, at: number, port: number): void {
  into[at] = port >>> 8;
  into[at + 1] = port;
}

function readPort(from: Uint8Array, at: number): number {
  return ((from[at] ?? 0) << 8) | (from[at + 1] ?? 0);
}

function writeScope(into: Uint8Array, scope: number): void {
  for (let i = 0; i < 4; i++) into[SOCKADDR_IN6.sin6_scope_id + i] = scope >>> (8 * i);
}

function readScope(from: Uint8Array): number {
  let scope = 0;
  for (let i = 3; i >= 0; i--) scope = scope * 256 + (from[SOCKADDR_IN6.sin6_scope_id + i] ?? 0);
  return scope;
}

function copy(into: Uint8Array, from: Uint8Array, at: number): void {
  for (let i = 0; i < into.length; i++) into[i] = from[at + i] ?? 0;
}

/** unix(7): a path ends with a NUL, an abstract name has its length. */
function writePath(into: Uint8Array, path: string): number {
  const bytes = new TextEncoder().encode(path);
  const isAbstract = path.startsWith('\0');
  const length = bytes.length + (isAbstract || path === '' ? 0 : 1);
  if (length > SOCKADDR_UN_PATH_BYTES) return -ENAMETOOLONG;
  if (!isAbstract && path.includes('\0')) return -EINVAL;
  begin(into, SOCKADDR_UN_PATH + length, AF_UNIX);
  into.set(bytes, SOCKADDR_UN_PATH);
  return SOCKADDR_UN_PATH + length;
}

function readPath(from: Uint8Array, lengthBytes: number): string {
  // A copy: TextDecoder takes no shared memory.
  const bytes = from.slice(SOCKADDR_UN_PATH, Math.max(SOCKADDR_UN_PATH, lengthBytes));
  const nul = bytes.indexOf(0);
  return new TextDecoder().decode(nul > 0 ? bytes.subarray(0, nul) : bytes);
}

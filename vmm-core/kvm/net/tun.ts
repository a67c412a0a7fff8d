/**
 * Tap interfaces (Documentation/networking/tuntap.rst of Linux): frames of a network interface of the host,
 * each behind a header as virtio's. Their flags and addresses: netdevice(7). Results are -errno for errors.
 */
import { closeSync, constants, openSync, writeFileSync } from 'node:fs';
import { AF_INET, AF_INET6, SOCK_DGRAM } from '../../abi/socket.ts';
import {
  IFF_ATTACH_QUEUE,
  IFF_DETACH_QUEUE,
  IFF_MULTI_QUEUE,
  IFF_NO_PI,
  IFF_TAP,
  IFF_UP,
  IFF_VNET_HDR,
  IFNAMSIZ,
  IFREQ_SOCKADDR,
  Ifreq,
  In6Ifreq,
  SIOCBRADDIF,
  SIOCDIFADDR,
  SIOCGIFADDR,
  SIOCGIFFLAGS,
  SIOCGIFHWADDR,
  SIOCGIFINDEX,
  SIOCGIFMTU,
  SIOCGIFNETMASK,
  SIOCSIFADDR,
  SIOCSIFFLAGS,
  SIOCSIFMTU,
  SIOCSIFNETMASK,
  SOCKADDR_DATA,
  TUNSETIFF,
  TUNSETOFFLOAD,
  TUNSETQUEUE,
  TUNSETVNETHDRSZ,
} from '../../abi/tun.ts';
import { SOCKADDR_IN } from '../../abi/inet.ts';
import { EINVAL } from '../errno.ts';
import { closeFd, ioctl, tryIoctlStruct } from '../libc.ts';
import { openSocket } from './sockets.ts';

export const TUN_DEVICE = '/dev/net/tun';
/** struct virtio_net_hdr_mrg_rxbuf (virtio 1.2 §5.1.6): before each frame. */
export const VNET_HEADER_BYTES = 12;
const MAC_BYTES = 6;
const IPV4_BYTES = 4;

export interface TapRequest {
  /** Of the interface. Absent: the kernel chooses; it makes one where there is none, if we may. */
  readonly name?: string;
  /** Descriptors: more than one needs an interface with several queues. */
  readonly queues: number;
}

export interface Tap {
  readonly name: string;
  /** One a queue; they do not block. Frames come and go behind a header of VNET_HEADER_BYTES. */
  readonly fds: readonly number[];
}

/** Or -errno: -EPERM: not allowed; -EBUSY: others have it; -EINVAL: it has one queue, or is no tap. */
export function openTap({ name = '', queues }: TapRequest): Tap | number {
  if (isTooLong(name)) return -EINVAL;
  const fds: number[] = [];
  let given = name;
  for (let i = 0; i < queues; i++) {
    const opened = openQueue(given, queues > 1);
    if (typeof opened === 'number') {
      fds.forEach(closeFd);
      return opened;
    }
    fds.push(opened.fd);
    given = opened.name;
  }
  return { name: given, fds };
}

function openQueue(name: string, isOfSeveral: boolean): { fd: number; name: string } | number {
  const fd = openTunDevice();
  if (fd < 0) return fd;
  const request = Ifreq.bytes({
    ifr_name: name,
    ifr_flags: IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (isOfSeveral ? IFF_MULTI_QUEUE : 0),
  });
  const headerBytes = Int32Array.of(VNET_HEADER_BYTES);
  let result = tryIoctlStruct(fd, TUNSETIFF, request);
  if (result === 0) result = tryIoctlStruct(fd, TUNSETVNETHDRSZ, headerBytes);
  if (result === 0) return { fd, name: nameIn(request) };
  closeSync(fd);
  return result;
}

/** 0: taps may be opened, and made where the right to is there. */
export function tryTunDevice(): number {
  const fd = openTunDevice();
  if (fd < 0) return fd;
  closeSync(fd);
  return 0;
}

/** By node:fs: it closes on exec. */
function openTunDevice(): number {
  try {
    return openSync(TUN_DEVICE, constants.O_RDWR | constants.O_NONBLOCK);
  } catch (error) {
    return errnoOf(error);
  }
}

/** Of node:fs, negative, as libuv has them. Throws what is no such error. */
function errnoOf(error: unknown): number {
  const { errno } = error as NodeJS.ErrnoException;
  if (errno === undefined) throw error;
  return errno;
}

/** What whoever reads the tap takes: TUN_F_…. -EINVAL: this kernel does not know one of them. */
export function setTapOffloads(fd: number, flags: number): number {
  return ioctl(fd, TUNSETOFFLOAD, flags);
}

/** Whether frames come by this queue, of an interface with several. -EINVAL: that is so already. */
export function useTapQueue(fd: number, isUsed: boolean): number {
  return tryIoctlStruct(
    fd,
    TUNSETQUEUE,
    Ifreq.bytes({ ifr_flags: isUsed ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE }),
  );
}

/** Up, or down. */
export function setInterfaceUp(name: string, isUp: boolean): number {
  const request = Ifreq.bytes({ ifr_name: name });
  const result = interfaceIoctl(SIOCGIFFLAGS, request);
  if (result < 0) return result;
  const view = new DataView(request.buffer);
  const { ifr_flags: flags } = Ifreq.read(view);
  Ifreq.write(view, { ifr_flags: isUp ? flags | IFF_UP : flags & ~IFF_UP });
  return interfaceIoctl(SIOCSIFFLAGS, request);
}

export function setInterfaceMtu(name: string, mtu: number): number {
  return interfaceIoctl(SIOCSIFMTU, Ifreq.bytes({ ifr_name: name, ifr_mtu: mtu }));
}

export function interfaceMtu(name: string): number {
  const request = Ifreq.bytes({ ifr_name: name });
  const result = interfaceIoctl(SIOCGIFMTU, request);
  return result < 0 ? result : Ifreq.read(new DataView(request.buffer)).ifr_mtu;
}

/** The host's end's Ethernet address, or -errno. */
export function interfaceMac(name: string): Uint8Array | number {
  const request = Ifreq.bytes({ ifr_name: name });
  const result = interfaceIoctl(SIOCGIFHWADDR, request);
  const at = IFREQ_SOCKADDR + SOCKADDR_DATA;
  return result < 0 ? result : request.slice(at, at + MAC_BYTES);
}

/** Makes an interface a port of a bridge of the host. */
export function addToBridge(bridge: string, name: string): number {
  const ifr_ifindex = indexOf(name);
  if (ifr_ifindex < 0) return ifr_ifindex;
  return interfaceIoctl(SIOCBRADDIF, Ifreq.bytes({ ifr_name: bridge, ifr_ifindex }));
}

/** IPv4: of the host's end, with its network. By `tap0:1` it is one more (netdevice(7)). */
export function setInterfaceAddress(name: string, address: Uint8Array, netmask: Uint8Array): number {
  if (isTooLong(name)) return -EINVAL;
  const result = interfaceIoctl(SIOCSIFADDR, ipv4Request(name, address));
  return result < 0 ? result : interfaceIoctl(SIOCSIFNETMASK, ipv4Request(name, netmask));
}

/**
 * IPv6: one more of the host's end, with the length of its network in bits. -EEXIST: it has it. -EACCES,
 * -EAFNOSUPPORT: IPv6 is off on that interface or this host.
 */
export function addInterfaceAddress6(name: string, address: Uint8Array, bits: number): number {
  return ipv6Ioctl(SIOCSIFADDR, name, address, bits);
}

export function removeInterfaceAddress6(name: string, address: Uint8Array, bits: number): number {
  return ipv6Ioctl(SIOCDIFADDR, name, address, bits);
}

/** Has the host take no routes and addresses from whoever is at the other end. 0 or -errno. */
export function refuseRouterAdverts(name: string): number {
  try {
    writeFileSync(`/proc/sys/net/ipv6/conf/${name}/accept_ra`, '0');
    return 0;
  } catch (error) {
    return errnoOf(error);
  }
}

function ipv6Ioctl(request: number, name: string, address: Uint8Array, bits: number): number {
  const ifr6_ifindex = indexOf(name);
  if (ifr6_ifindex < 0) return ifr6_ifindex;
  const argument = In6Ifreq.bytes({ ifr6_prefixlen: bits, ifr6_ifindex });
  argument.set(address.subarray(0, 16), In6Ifreq.fields.ifr6_addr.offset);
  return interfaceIoctl(request, argument, AF_INET6);
}

/** Or -errno. */
function indexOf(name: string): number {
  const request = Ifreq.bytes({ ifr_name: name });
  const result = interfaceIoctl(SIOCGIFINDEX, request);
  return result < 0 ? result : Ifreq.read(new DataView(request.buffer)).ifr_ifindex;
}

export interface InterfaceNetwork {
  readonly address: Uint8Array;
  readonly netmask: Uint8Array;
}

/** The first IPv4 address of an interface, up or not. Or -errno: -EADDRNOTAVAIL: it has none. */
export function interfaceNetwork(name: string): InterfaceNetwork | number {
  if (isTooLong(name)) return -EINVAL;
  const address = ipv4By(SIOCGIFADDR, name);
  const netmask = ipv4By(SIOCGIFNETMASK, name);
  if (typeof address === 'number') return address;
  return typeof netmask === 'number' ? netmask : { address, netmask };
}

function ipv4By(ask: number, name: string): Uint8Array | number {
  const request = ipv4Request(name, new Uint8Array(IPV4_BYTES));
  const result = interfaceIoctl(ask, request);
  const at = IFREQ_SOCKADDR + SOCKADDR_IN.sin_addr;
  return result < 0 ? result : request.slice(at, at + IPV4_BYTES);
}

function ipv4Request(name: string, address: Uint8Array): Uint8Array {
  const request = Ifreq.bytes({ ifr_name: name });
  new DataView(request.buffer).setUint16(IFREQ_SOCKADDR + SOCKADDR_IN.sin_family, AF_INET, true);
  request.set(address.subarray(0, IPV4_BYTES), IFREQ_SOCKADDR + SOCKADDR_IN.sin_addr);
  return request;
}

/** Any socket will do, of the family that is asked about: interfaces have no descriptors. */
function interfaceIoctl(
  request: number,
  argument: Uint8Array,
  family: typeof AF_INET | typeof AF_INET6 = AF_INET,
): number {
  const fd = openSocket(family, SOCK_DGRAM);
  if (fd < 0) return fd;
  const result = tryIoctlStruct(fd, request, argument);
  closeFd(fd);
  return result;
}

/** It would be cut, and be another's. */
function isTooLong(name: string): boolean {
  return Buffer.byteLength(name) >= IFNAMSIZ;
}

function nameIn(request: Uint8Array): string {
  const { ifr_name: name } = Ifreq.read(new DataView(request.buffer));
  return name.replace(/\0.*$/s, '');
}

/**
 * Tap interfaces, as <linux/if_tun.h>, <linux/if.h>, <linux/ipv6.h> and <linux/sockios.h> spell them.
 * Documentation/networking/tuntap.rst of Linux, netdevice(7).
 */
import { chars, s32, struct, u16, u32 } from './struct.ts';

// Of /dev/net/tun.
export const TUNSETIFF = 0x400454ca;
export const TUNSETOFFLOAD = 0x400454d0;
export const TUNGETIFF = 0x800454d2;
export const TUNSETVNETHDRSZ = 0x400454d8;
export const TUNSETQUEUE = 0x400454d9;

export const IFF_TAP = 0x0002;
export const IFF_MULTI_QUEUE = 0x0100;
// Of TUNSETQUEUE: frames for the guest come by this queue, or by the others only.
export const IFF_ATTACH_QUEUE = 0x0200;
export const IFF_DETACH_QUEUE = 0x0400;
export const IFF_NO_PI = 0x1000;
export const IFF_VNET_HDR = 0x4000;

/** What the reader takes (TUNSETOFFLOAD). */
export const TUN_F_CSUM = 0x01;
export const TUN_F_TSO4 = 0x02;
export const TUN_F_TSO6 = 0x04;
export const TUN_F_TSO_ECN = 0x08;
export const TUN_F_UFO = 0x10;
export const TUN_F_USO4 = 0x20; // Linux 6.2
export const TUN_F_USO6 = 0x40;

// Of any socket.
export const SIOCGIFFLAGS = 0x8913;
export const SIOCSIFFLAGS = 0x8914;
export const SIOCGIFADDR = 0x8915;
export const SIOCSIFADDR = 0x8916;
export const SIOCGIFNETMASK = 0x891b;
export const SIOCSIFNETMASK = 0x891c;
export const SIOCGIFMTU = 0x8921;
export const SIOCSIFMTU = 0x8922;
export const SIOCSIFHWADDR = 0x8924;
export const SIOCGIFHWADDR = 0x8927;
export const SIOCGIFINDEX = 0x8933;
export const SIOCDIFADDR = 0x8936; // of IPv6 only
export const SIOCBRADDIF = 0x89a2;

export const IFF_UP = 0x1;
export const IFF_RUNNING = 0x40;

/** With its NUL. */
export const IFNAMSIZ = 16;

/** Of the union the members that we use. */
export const Ifreq = struct('ifreq', 40, {
  ifr_name: chars(0, IFNAMSIZ),
  ifr_flags: u16(16),
  ifr_mtu: u32(16),
  ifr_ifindex: u32(16),
});
/** Where a struct sockaddr of the union begins, and in that its data. */
export const IFREQ_SOCKADDR = 16;
export const SOCKADDR_DATA = 2;

/** For SIOCSIFADDR and SIOCDIFADDR of a socket of AF_INET6. The address is 16 bytes. */
export const In6Ifreq = struct('in6_ifreq', 24, {
  ifr6_addr: chars(0, 16),
  ifr6_prefixlen: u32(16),
  ifr6_ifindex: s32(20),
});

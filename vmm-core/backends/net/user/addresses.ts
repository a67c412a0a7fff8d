/**
 * Who is who in the `user` network. The first addresses of each prefix are ours: .2 is the host, .3 the name
 * server, and the guests' are from .15 on, as QEMU's users know them; IPv6 has the same roles. Addresses are
 * bytes in network order.
 */
import { ipText, parseIp } from '../../../bus/socketAddress.ts';
import { UserError } from '../../../errors.ts';

/** Plain data: main makes it, the link on the I/O thread has a copy. */
export interface UserNetwork {
  readonly mtu: number;
  /** Of all addresses that are ours. */
  readonly mac: Uint8Array;
  readonly ipv4: {
    readonly network: Uint8Array;
    readonly bits: number;
    readonly mask: Uint8Array;
    readonly broadcast: Uint8Array;
    readonly host: Uint8Array;
    readonly dns: Uint8Array;
    readonly firstGuest: Uint8Array;
  };
  readonly ipv6: {
    /** A /64. */
    readonly network: Uint8Array;
    readonly host: Uint8Array;
    readonly dns: Uint8Array;
    /** fe80::2, where router advertisements come from (RFC 4861 §4.2). */
    readonly linkLocal: Uint8Array;
  };
}

export interface Ipv4Prefix {
  readonly network: Uint8Array;
  readonly bits: number;
}

const HOST = 2;
const DNS = 3;
export const FIRST_GUEST = 15;
/** A bridge in the guest may have more than one address: .15 to .30. */
export const GUESTS = 16;
/** Has room for the last guest and the broadcast address. */
const MAX_PREFIX_BITS = 27;
const MIN_PREFIX_BITS = 8;

/** Tried in this order where the user names none: a host may itself be a guest in such a network. */
export const DEFAULT_PREFIXES = ['10.0.2.0/24', '10.0.12.0/24', '10.0.22.0/24', '10.0.32.0/24'] as const;
/** Unique local (RFC 4193). The same for all: nothing of it is ever routed anywhere. */
export const DEFAULT_PREFIXES6 = [
  'fd74:7261:7066::/64',
  'fd74:7261:7066:1::/64',
  'fd74:7261:7066:2::/64',
  'fd74:7261:7066:3::/64',
] as const;

const MAC = [0x52, 0x55, 0x0a, 0x00, 0x02, 0x02];

export function userNetwork(
  prefix: Ipv4Prefix,
  network6: Uint8Array,
  mtu: number,
  guestMac: Uint8Array,
): UserNetwork {
  const mac = Uint8Array.from(MAC);
  if (mac.every((byte, index) => byte === guestMac[index])) mac[5] = 3;
  const { network, bits } = prefix;
  const mask = maskBytes(bits);
  return {
    mtu,
    mac,
    ipv4: {
      network,
      bits,
      mask,
      broadcast: network.map((byte, index) => byte | (~(mask[index] ?? 0) & 0xff)),
      host: withLast(network, HOST),
      dns: withLast(network, DNS),
      firstGuest: withLast(network, FIRST_GUEST),
    },
    ipv6: {
      network: network6,
      host: withLast(network6, HOST),
      dns: withLast(network6, DNS),
      linkLocal: withLast(Uint8Array.of(0xfe, 0x80, ...Array<number>(14).fill(0)), HOST),
    },
  };
}

/** Throws UserError. */
export function parsePrefix(text: string): Ipv4Prefix {
  const [, addressText = '', bitsText = ''] = /^([^/]*)\/(\d{1,2})$/.exec(text) ?? [];
  const address = parseIp(addressText);
  const bits = Number(bitsText);
  if (address?.length !== 4 || bitsText === '' || bits > 32)
    throw new UserError(`"${text}" is not an IPv4 prefix: write it as ${DEFAULT_PREFIXES[0]}`);
  if (bits < MIN_PREFIX_BITS || bits > MAX_PREFIX_BITS)
    throw new UserError(
      `${text} does not fit the user network, which needs a prefix of ${MIN_PREFIX_BITS} to ${MAX_PREFIX_BITS} bits`,
    );
  const mask = maskBytes(bits);
  const network = address.map((byte, index) => byte & (mask[index] ?? 0));
  if (network.some((byte, index) => byte !== address[index]))
    throw new UserError(`${text} names an address, not a network: write ${ipText(network)}/${bits}`);
  const first = network[0] ?? 0;
  if (first === 0 || first === 127 || first >= 224)
    throw new UserError(
      `${text} cannot be the network of a guest: take one of 10.0.0.0/8 or 192.168.0.0/16, as ${DEFAULT_PREFIXES[0]}`,
    );
  return { network, bits };
}

/** The network of a /64. Throws UserError. */
export function parsePrefix6(text: string): Uint8Array {
  const [, addressText = '', bits = ''] = /^([^/]*)\/(\d{1,3})$/.exec(text) ?? [];
  const address = parseIp(addressText);
  if (address?.length !== 16)
    throw new UserError(`"${text}" is not an IPv6 prefix: write it as ${DEFAULT_PREFIXES6[0]}`);
  if (bits !== '64')
    throw new UserError(`${text} must be a /64: guests make their own addresses of such a prefix only`);
  if (address.subarray(8).some((byte) => byte !== 0))
    throw new UserError(`${text} names an address, not a network: write ${ipText(address.fill(0, 8))}/64`);
  const first = address[0] ?? 0;
  if (first === 0xff || first === 0xfe || first === 0)
    // ::/8 is nobody's (RFC 4291 §2.4)
    throw new UserError(
      `${text} cannot be the network of a guest: take a unique local one, as ${DEFAULT_PREFIXES6[0]}`,
    );
  return address;
}

export function macText(mac: Uint8Array): string {
  return Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

export function isInPrefix(address: Uint8Array, network: Uint8Array, bits: number): boolean {
  if (address.length !== network.length) return false;
  const whole = bits >> 3;
  for (let index = 0; index < whole; index++) if (address[index] !== network[index]) return false;
  const rest = bits & 7;
  return rest === 0 || (((address[whole] ?? 0) ^ (network[whole] ?? 0)) & (0xff << (8 - rest)) & 0xff) === 0;
}

/** An address that the guest finds on its own link, not by the router. */
export function isInside(address: Uint8Array, { ipv4, ipv6 }: UserNetwork): boolean {
  return isInPrefix(address, ipv4.network, ipv4.bits) || isInPrefix(address, ipv6.network, 64);
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

function maskBytes(bits: number): Uint8Array {
  return Uint8Array.from(
    [0, 1, 2, 3],
    (index) => (0xff00 >> Math.max(0, Math.min(8, bits - 8 * index))) & 0xff,
  );
}

function withLast(network: Uint8Array, last: number): Uint8Array {
  const address = network.slice();
  address[address.length - 1] = (address[address.length - 1] ?? 0) + last;
  return address;
}

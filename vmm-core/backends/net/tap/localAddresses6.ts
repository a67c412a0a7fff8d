/**
 * IPv6 of a private link to the host. The last 64 bits are vmd's (vm.conf(5) `local inet6`): the guest's IPv4
 * address, zeros, and 1 for the host or 2 for the guest. vmd's links share what is before them, and each is a
 * /96; ours is a /64 of its own where the prefix has one left, because a guest makes itself an address of
 * such a network only (RFC 4862 §5.5.3).
 */
import { createHash } from 'node:crypto';
import { parseIp } from '../../../bus/socketAddress.ts';
import { UserError } from '../../../errors.ts';

/** Of a link's own network, resp. of vmd's. */
export const OWN_BITS = 64;
export const VMD_BITS = 96;

export interface LocalNetwork6 {
  /** Of the host's end. */
  readonly host: Uint8Array;
  readonly bits: typeof OWN_BITS | typeof VMD_BITS;
}

const NETWORK_BYTES = 8;
/** fc00::/7 are all that are unique local (RFC 4193). */
const MIN_PREFIX_BITS = 7;
/** Far more than a host has interfaces. */
const MAX_TRIES = 4096;
const EXAMPLE = 'fd00::/8';

/**
 * That of the interface with that number, from 0, of the VM with that name: the same at each start, unless it
 * is taken. `guest4`: its IPv4 address. `isTaken`: whether another interface of the host has addresses of
 * that /64. Throws UserError: the prefix is none that a guest can be in.
 */
export function localNetwork6(
  prefix: string,
  vmName: string,
  index: number,
  guest4: Uint8Array,
  isTaken: (address: Uint8Array) => boolean,
): LocalNetwork6 {
  const { network, bits } = parsePrefix6(prefix);
  const networks = 1n << BigInt(OWN_BITS - bits);
  const first = hashOf(`${vmName} ${index}`);
  const hostOf = (number: bigint): Uint8Array => hostAddress(network | (number % networks), guest4);
  for (let i = 0n; i < networks && i < MAX_TRIES; i++) {
    const host = hostOf(first + i);
    if (!isTaken(host)) return { host, bits: OWN_BITS };
  }
  return { host: hostOf(first), bits: VMD_BITS };
}

/** What a guest that is configured by hand is given. */
export function guestOf(host: Uint8Array): Uint8Array {
  const guest = host.slice();
  guest[15] = 2;
  return guest;
}

export function isSameNetwork6(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < NETWORK_BYTES; i++) if (a[i] !== b[i]) return false;
  return true;
}

/**
 * The host's own address of the link, where its kernel has told none yet, as kernels make it of the Ethernet
 * address (RFC 4291, appendix A).
 */
export function linkLocalOf(mac: Uint8Array): Uint8Array {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = mac;
  return Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f);
}

function hostAddress(network: bigint, guest4: Uint8Array): Uint8Array {
  const address = new Uint8Array(16);
  new DataView(address.buffer).setBigUint64(0, network);
  address.set(guest4, NETWORK_BYTES);
  address[15] = 1;
  return address;
}

/** `network`: its first 64 bits. */
function parsePrefix6(text: string): { readonly network: bigint; readonly bits: number } {
  const [, addressText = '', bitsText = ''] = /^([^/]*)\/(\d{1,3})$/.exec(text) ?? [];
  const address = parseIp(addressText);
  const bits = Number(bitsText);
  if (address?.length !== 16 || bitsText === '' || bits > OWN_BITS)
    throw new UserError(`"${text}" is no IPv6 prefix for local interfaces: write it as ${EXAMPLE}`);
  const [first = 0] = address;
  const isGroupOrLink = first === 0xff || first === 0xfe;
  if (bits < MIN_PREFIX_BITS || first === 0 || isGroupOrLink)
    throw new UserError(
      `${text} cannot be the prefix of local interfaces: take a unique local one, as ${EXAMPLE}`,
    );
  const number = new DataView(address.buffer).getBigUint64(0);
  return { network: number & ~((1n << BigInt(OWN_BITS - bits)) - 1n), bits };
}

function hashOf(text: string): bigint {
  return createHash('sha256').update(text).digest().readBigUInt64BE();
}

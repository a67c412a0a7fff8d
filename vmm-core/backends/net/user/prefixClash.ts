/**
 * A prefix of the virtual network that is also one of the host's would hide that part of the host's network
 * from the guest. Main thread, when a network is opened.
 */
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import { readRegularFile } from '../../../client/regularFile.ts';
import { ipText, parseIp } from '../../../bus/socketAddress.ts';
import { UserError } from '../../../errors.ts';
import {
  DEFAULT_PREFIXES,
  DEFAULT_PREFIXES6,
  type Ipv4Prefix,
  isInPrefix,
  parsePrefix,
  parsePrefix6,
} from './addresses.ts';

/** What the host's network has already. */
export interface HostNetwork {
  /** "eth0 has 10.0.2.15". */
  readonly addresses: readonly { readonly address: Uint8Array; readonly interface: string }[];
  readonly routes: readonly { readonly network: Uint8Array; readonly interface: string }[];
  readonly nameservers: readonly Uint8Array[];
}

const MAX_ROUTES_BYTES = 1 << 20;

export function hostNetwork(nameservers: readonly Uint8Array[]): HostNetwork {
  const addresses = hostInterfaces().flatMap(([name, entries]) =>
    entries.flatMap(({ address, internal }) => {
      const bytes = internal ? undefined : parseIp(address);
      return bytes === undefined ? [] : [{ address: bytes, interface: name }];
    }),
  );
  return { addresses, routes: hostRoutes(), nameservers };
}

/** By their names. Empty where the process may not ask: a sandbox may forbid netlink. */
export function hostInterfaces(): [name: string, entries: readonly NetworkInterfaceInfo[]][] {
  try {
    return Object.entries(networkInterfaces()).map(([name, entries]) => [name, entries ?? []]);
  } catch {
    return [];
  }
}

/** The user's, or the first default that is free. Throws UserError. */
export function choosePrefix(wanted: string | undefined, host: HostNetwork): Ipv4Prefix {
  if (wanted !== undefined) {
    const prefix = parsePrefix(wanted);
    const clash = findClash(prefix.network, prefix.bits, host);
    if (clash !== undefined) throw new UserError(clashText(wanted, clash, DEFAULT_PREFIXES[1]));
    return prefix;
  }
  for (const text of DEFAULT_PREFIXES) {
    const prefix = parsePrefix(text);
    if (findClash(prefix.network, prefix.bits, host) === undefined) return prefix;
  }
  throw new UserError(
    `the host's own networks take all of ${DEFAULT_PREFIXES.join(', ')}: give the interface another prefix`,
  );
}

/** See choosePrefix. */
export function choosePrefix6(wanted: string | undefined, host: HostNetwork): Uint8Array {
  if (wanted !== undefined) {
    const network = parsePrefix6(wanted);
    const clash = findClash(network, 64, host);
    if (clash !== undefined) throw new UserError(clashText(wanted, clash, 'fd00:1234:5678:9abc::/64'));
    return network;
  }
  for (const text of DEFAULT_PREFIXES6) {
    const network = parsePrefix6(text);
    if (findClash(network, 64, host) === undefined) return network;
  }
  throw new UserError(
    `the host's own networks take all of ${DEFAULT_PREFIXES6.join(', ')}: give the interface another prefix6`,
  );
}

/** "eth0 has 10.0.2.15". */
function findClash(network: Uint8Array, bits: number, host: HostNetwork): string | undefined {
  const isInside = (address: Uint8Array): boolean => isInPrefix(address, network, bits);
  const own = host.addresses.find((it) => isInside(it.address));
  if (own !== undefined) return `${own.interface} has ${ipText(own.address)}`;
  const route = host.routes.find((it) => isInside(it.network));
  if (route !== undefined) return `${route.interface} leads to ${ipText(route.network)}`;
  const nameserver = host.nameservers.find(isInside);
  return nameserver === undefined ? undefined : `its name server is ${ipText(nameserver)}`;
}

function clashText(prefix: string, clash: string, example: string): string {
  return `the prefix ${prefix} is in use on this host (${clash}): take another, as ${example}`;
}

/** Of IPv4, but for the default route. Empty where /proc does not tell. */
function hostRoutes(): HostNetwork['routes'] {
  let text: string;
  try {
    text = readRegularFile('/proc/net/route', { maxBytes: MAX_ROUTES_BYTES }).toString('latin1');
  } catch {
    return []; // a container may hide it: addresses are still checked
  }
  return parseRoutes(text);
}

/** Linux's /proc/net/route: name, destination, gateway, flags, …; addresses are little-endian words. */
export function parseRoutes(text: string): HostNetwork['routes'] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [name, destination] = line.trim().split(/\s+/);
      if (name === undefined || destination === undefined || !/^[0-9A-Fa-f]{8}$/.test(destination)) return [];
      const word = parseInt(destination, 16);
      const network = Uint8Array.of(word & 0xff, (word >> 8) & 0xff, (word >> 16) & 0xff, word >>> 24);
      return word === 0 ? [] : [{ network, interface: name }];
    });
}

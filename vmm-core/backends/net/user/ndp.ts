/**
 * Neighbour discovery (RFC 4861): who has our IPv6 addresses, and the router's advertisement, of which guests
 * make theirs (RFC 4862). ICMPv6 messages in and out, checksums not included.
 */
import {
  ICMP_CODE,
  ICMP_TYPE,
  ND_HOP_LIMIT,
  ND_NA_FLAG_OVERRIDE,
  ND_NA_FLAG_ROUTER,
  ND_NA_FLAG_SOLICITED,
  ND_NEIGHBOR_ADVERT,
  ND_NEIGHBOR_SOLICIT,
  ND_NS_BYTES,
  ND_OPT_DNSSL,
  ND_OPT_MTU,
  ND_OPT_PI_FLAG_AUTO,
  ND_OPT_PI_FLAG_ONLINK,
  ND_OPT_PREFIX_INFORMATION,
  ND_OPT_RDNSS,
  ND_OPT_SOURCE_LINKADDR,
  ND_OPT_TARGET_LINKADDR,
  ND_RA_FLAG_OTHER,
  ND_ROUTER_ADVERT,
  ND_ROUTER_SOLICIT,
  ND_RS_BYTES,
  ND_TARGET,
} from '../../../abi/icmp.ts';
import { type UserNetwork } from './addresses.ts';
import { domainNames } from './domainNames.ts';
import type { Neighbours } from './neighbours.ts';

export const ALL_NODES = Uint8Array.of(0xff, 2, ...Array<number>(13).fill(0), 1);
export const ALL_NODES_MAC = Uint8Array.of(0x33, 0x33, 0, 0, 0, 1);
/** How long a guest believes the router without hearing of it: the most there is (RFC 8319). */
const ROUTER_LIFETIME_S = 65535;
/** Between two advertisements that nobody has asked for: well within that. */
export const ADVERT_MS = 4 * 3600_000;
/** Without an end: none of it ever changes. */
const FOREVER = 0xffff_ffff;
const OPTION_UNIT_BYTES = 8;
/** RFC 4291 §2.5.1: what is left are the 64 bits of an interface. */
const AUTO_BITS = 64;
/** RFC 4861 §4.2 and RFC 8106: any of ours fits. */
const MAX_ADVERT_BYTES = 512;

export interface NdMessage {
  readonly source: Uint8Array;
  readonly hopLimit: number;
  /** From its type on. */
  readonly bytes: Uint8Array;
}

export interface NdReply {
  readonly from: Uint8Array;
  /** Undefined: all nodes of the link. */
  readonly to: Uint8Array | undefined;
  readonly bytes: Uint8Array;
}

/** The router, and the network that it says the guest is in. */
export interface Advertised {
  readonly mac: Uint8Array;
  readonly mtu: number;
  readonly ipv6: {
    readonly network: Uint8Array;
    /** Absent: 64, of which guests make addresses. Of others they do not (RFC 4862 §5.5.3). */
    readonly bits?: number;
  };
}

/** What a router says besides its own: RFC 8106. */
export interface AdvertSettings {
  /** Undefined: the network has no name server. */
  readonly dns: Uint8Array | undefined;
  readonly search: readonly string[];
}

/** Undefined: it is no message of the kind, a wrong one, or wants no answer. */
export function answerNd(
  message: NdMessage,
  network: UserNetwork,
  settings: AdvertSettings,
  neighbours: Neighbours,
): NdReply | undefined {
  const { source, hopLimit, bytes } = message;
  if (hopLimit !== ND_HOP_LIMIT || bytes[ICMP_CODE] !== 0) return undefined;
  const isUnspecified = source.every((byte) => byte === 0);
  switch (bytes[ICMP_TYPE]) {
    case ND_NEIGHBOR_SOLICIT: {
      if (bytes.length < ND_NS_BYTES || !areOptionsRight(bytes, ND_NS_BYTES)) return undefined;
      const target = bytes.subarray(ND_TARGET, ND_TARGET + 16);
      const mac = linkAddress(bytes, ND_NS_BYTES, ND_OPT_SOURCE_LINKADDR);
      if (mac !== undefined && isUnspecified) return undefined; // §7.1.1
      if (mac !== undefined) neighbours.learn(source, mac);
      // A guest's question for an address of its own is duplicate detection: silence is the answer it wants.
      if (!neighbours.isOurs(target)) return undefined;
      return neighbourAdvert(target, isUnspecified ? undefined : source, network);
    }
    case ND_NEIGHBOR_ADVERT: {
      if (bytes.length < ND_NS_BYTES || !areOptionsRight(bytes, ND_NS_BYTES)) return undefined;
      const mac = linkAddress(bytes, ND_NS_BYTES, ND_OPT_TARGET_LINKADDR);
      if (mac !== undefined) neighbours.learn(bytes.subarray(ND_TARGET, ND_TARGET + 16), mac);
      return undefined;
    }
    case ND_ROUTER_SOLICIT: {
      if (!isRouterSolicit(message)) return undefined;
      const mac = linkAddress(bytes, ND_RS_BYTES, ND_OPT_SOURCE_LINKADDR);
      if (mac !== undefined && isUnspecified) return undefined; // §6.1.1
      if (mac !== undefined) neighbours.learn(source, mac);
      return { from: network.ipv6.linkLocal, to: undefined, bytes: routerAdvert(network, settings) };
    }
    default:
      return undefined;
  }
}

/** §6.1.1 */
export function isRouterSolicit({ hopLimit, bytes }: NdMessage): boolean {
  if (bytes[ICMP_TYPE] !== ND_ROUTER_SOLICIT || bytes[ICMP_CODE] !== 0 || hopLimit !== ND_HOP_LIMIT)
    return false;
  return bytes.length >= ND_RS_BYTES && areOptionsRight(bytes, ND_RS_BYTES);
}

/** §4.2, with what a guest needs for addresses, names and large packets. */
export function routerAdvert(network: Advertised, { dns, search }: AdvertSettings): Uint8Array {
  const { bits = AUTO_BITS } = network.ipv6;
  const bytes = new Uint8Array(MAX_ADVERT_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(ICMP_TYPE, ND_ROUTER_ADVERT);
  view.setUint8(4, 64); // hop limit
  view.setUint8(5, dns === undefined ? 0 : ND_RA_FLAG_OTHER);
  view.setUint16(6, ROUTER_LIFETIME_S);
  let at = 16;
  const begin = (type: number, units: number): number => {
    const start = at;
    view.setUint8(start, type);
    view.setUint8(start + 1, units);
    at += units * OPTION_UNIT_BYTES;
    return start;
  };
  bytes.set(network.mac, begin(ND_OPT_SOURCE_LINKADDR, 1) + 2);
  view.setUint32(begin(ND_OPT_MTU, 1) + 4, network.mtu);
  const prefix = begin(ND_OPT_PREFIX_INFORMATION, 4);
  view.setUint8(prefix + 2, bits);
  view.setUint8(prefix + 3, ND_OPT_PI_FLAG_ONLINK | (bits === AUTO_BITS ? ND_OPT_PI_FLAG_AUTO : 0));
  view.setUint32(prefix + 4, FOREVER);
  view.setUint32(prefix + 8, FOREVER);
  bytes.set(network.ipv6.network, prefix + 16);
  if (dns !== undefined) {
    const option = begin(ND_OPT_RDNSS, 3);
    view.setUint32(option + 4, FOREVER);
    bytes.set(dns, option + 8);
    const names = domainNames(search);
    const units = 1 + Math.ceil(names.length / OPTION_UNIT_BYTES);
    if (names.length > 0 && at + units * OPTION_UNIT_BYTES <= bytes.length) {
      const list = begin(ND_OPT_DNSSL, units);
      view.setUint32(list + 4, FOREVER);
      bytes.set(names, list + 8);
    }
  }
  return bytes.subarray(0, at);
}

/** §4.4. Without a destination, who asked is still testing its own address: all are told (§7.2.4). */
function neighbourAdvert(target: Uint8Array, to: Uint8Array | undefined, network: UserNetwork): NdReply {
  const bytes = new Uint8Array(ND_NS_BYTES + OPTION_UNIT_BYTES);
  bytes[ICMP_TYPE] = ND_NEIGHBOR_ADVERT;
  bytes[4] = ND_NA_FLAG_ROUTER | ND_NA_FLAG_OVERRIDE | (to === undefined ? 0 : ND_NA_FLAG_SOLICITED);
  bytes.set(target, ND_TARGET);
  bytes[ND_NS_BYTES] = ND_OPT_TARGET_LINKADDR;
  bytes[ND_NS_BYTES + 1] = 1;
  bytes.set(network.mac, ND_NS_BYTES + 2);
  return { from: target.slice(), to, bytes };
}

/** §7.1.1: none has length 0, all are whole. */
function areOptionsRight(bytes: Uint8Array, start: number): boolean {
  let at = start;
  while (at < bytes.length) {
    const units = bytes[at + 1] ?? 0;
    if (units === 0) return false;
    at += units * OPTION_UNIT_BYTES;
  }
  return at === bytes.length;
}

function linkAddress(bytes: Uint8Array, start: number, type: number): Uint8Array | undefined {
  for (let at = start; at < bytes.length; at += (bytes[at + 1] ?? 1) * OPTION_UNIT_BYTES)
    if (bytes[at] === type) return bytes.subarray(at + 2, at + 8);
  return undefined;
}

/**
 * Ports of the host that lead to the guest, and of the virtual network that lead to the host: short texts as
 * `tcp:127.0.0.1:2222:22`, or objects.
 */
import type { Complain, ValueKind, ValueSchema } from '../setting.ts';
import { describe, isObject } from '../valueKinds.ts';
import { unknownKey } from '../unknownKey.ts';
import { byteLength, isIpv4, isIpv6 } from '../values.ts';

/** From the host to the guest. */
export interface ForwardConfig {
  readonly protocol: 'tcp' | 'udp';
  /** Absent: loopback. */
  readonly hostAddress?: string;
  /** The first of `count`. */
  readonly hostPort?: number;
  /** In place of address and port: a unix socket; TCP only. */
  readonly hostPath?: string;
  readonly guestPort: number;
  /** Absent: the guest's own by DHCP. */
  readonly guestAddress?: string;
  readonly count?: number;
}

/** From an address of the virtual network to the host; TCP. */
export interface GuestForwardConfig {
  readonly guestAddress: string;
  readonly guestPort: number;
  /** Absent: loopback. */
  readonly hostAddress?: string;
  readonly hostPort?: number;
  readonly hostPath?: string;
}

const MAX_PORT = 65535;
/** Each is a socket that listens. */
const MAX_RANGE = 1024;
const MAX_TEXT = 1000;
/** sun_path without its NUL. */
const MAX_SOCKET_BYTES = 107;

const ADDRESS = String.raw`(?:(\d+\.\d+\.\d+\.\d+|\[[^\]]*\]):)?`;
const FROM_PORTS = new RegExp(`^(tcp|udp):${ADDRESS}(\\d+)(?:-(\\d+))?:${ADDRESS}(\\d+)(?:-(\\d+))?$`);
const FROM_PATH = new RegExp(`^(tcp):unix:(.+?):${ADDRESS}(\\d+)$`);
const OF_GUEST = new RegExp(`^${ADDRESS}(\\d+):(?:unix:(.+)|${ADDRESS}(\\d+))$`);

const FORM = 'a text such as "tcp:2222:22", "tcp:0.0.0.0:8000-8010:80" or "tcp:unix:/path:22"';
const GUEST_FORM = 'a text such as "10.0.2.100:80:8080" or "10.0.2.100:80:unix:/path"';

const PORT: ValueSchema = { type: 'integer', minimum: 1, maximum: MAX_PORT };
const ADDRESS_SCHEMA: ValueSchema = { type: 'string', description: 'An IPv4 or IPv6 address.' };
const HOST_END = {
  hostAddress: { ...ADDRESS_SCHEMA, description: 'Of the host; loopback when not given.' },
  hostPort: PORT,
  hostPath: { type: 'string', description: 'A unix socket, in place of address and port; TCP only.' },
} as const;
const FORWARD_KEYS = {
  protocol: { type: 'string', enum: ['tcp', 'udp'] },
  ...HOST_END,
  guestPort: PORT,
  guestAddress: { ...ADDRESS_SCHEMA, description: "The guest's own by DHCP when not given." },
  count: { type: 'integer', minimum: 1, maximum: MAX_RANGE, description: 'So many ports, from these on.' },
} as const satisfies Readonly<Record<string, ValueSchema>>;
const GUEST_FORWARD_KEYS = {
  guestAddress: { ...ADDRESS_SCHEMA, description: 'In the virtual network.' },
  guestPort: PORT,
  ...HOST_END,
} as const satisfies Readonly<Record<string, ValueSchema>>;

/** `protocol:[address:]port[-port]:[address:]port`, `tcp:unix:path:[address:]port`. */
export const forward: ValueKind<ForwardConfig> = {
  schema: eitherForm(FORWARD_KEYS, ['guestPort']),
  read: (written, complain) => {
    if (isObject(written)) return forward.check({ protocol: 'tcp', ...written }, complain);
    const parts = isShort(written) ? forwardParts(written) : undefined;
    if (parts === undefined) return complain(`must be ${FORM}, not ${describe(written)}`);
    if (parts === 'ranges differ')
      return complain(`must lead to one port, or to as many as it is from: ${describe(written)}`);
    return forward.check(parts, (message) => complain(`is wrong: ${describe(written)} ${message}`));
  },
  check: (value, complain) => {
    const given = checkedParts(value, Object.keys(FORWARD_KEYS), complain);
    if (given === undefined) return undefined;
    const { protocol, guestPort, guestAddress, count = 1 } = given;
    if (protocol !== 'tcp' && protocol !== 'udp')
      return complain(`must be tcp or udp, not ${describe(protocol)}`);
    if (!isWhole(count, MAX_RANGE)) return complain(`is of 1 to ${MAX_RANGE} ports, not ${describe(count)}`);
    const host = hostEnd(given, complain, { protocol, count });
    const guest = portAndAddress(guestPort, guestAddress, complain, count);
    if (host === undefined || guest === undefined) return undefined;
    return {
      protocol,
      ...host,
      guestPort: guest.port,
      ...(guest.address === undefined ? {} : { guestAddress: guest.address }),
      ...(count === 1 ? {} : { count }),
    };
  },
  print: forwardText,
  resolve: resolvePath,
};

/** `address:port:[address:]port`, `address:port:unix:path`. */
export const guestForward: ValueKind<GuestForwardConfig> = {
  schema: eitherForm(GUEST_FORWARD_KEYS, ['guestAddress', 'guestPort']),
  read: (written, complain) => {
    if (isObject(written)) return guestForward.check(written, complain);
    const [, guestAddress, guestPort, hostPath, hostAddress, hostPort] =
      (isShort(written) ? OF_GUEST.exec(written) : null) ?? [];
    if (guestAddress === undefined) return complain(`must be ${GUEST_FORM}, not ${describe(written)}`);
    const parts = {
      guestAddress: bare(guestAddress),
      guestPort: Number(guestPort),
      ...(hostPath === undefined ? { hostPort: Number(hostPort) } : { hostPath }),
      ...(hostAddress === undefined ? {} : { hostAddress: bare(hostAddress) }),
    };
    return guestForward.check(parts, (message) => complain(`is wrong: ${describe(written)} ${message}`));
  },
  check: (value, complain) => {
    const given = checkedParts(value, Object.keys(GUEST_FORWARD_KEYS), complain);
    if (given === undefined) return undefined;
    const host = hostEnd(given, complain, { protocol: 'tcp', count: 1 });
    const guest = portAndAddress(given['guestPort'], given['guestAddress'], complain, 1);
    if (host === undefined || guest === undefined) return undefined;
    if (guest.address === undefined) return complain('needs an address of the virtual network');
    return { guestAddress: guest.address, guestPort: guest.port, ...host };
  },
  print: ({ guestAddress, guestPort, ...host }) => `${endText(guestAddress, guestPort)}:${hostText(host)}`,
  resolve: resolvePath,
};

/** As users write it. */
export function forwardText(it: ForwardConfig): string {
  const { protocol, guestAddress, guestPort, count = 1, ...host } = it;
  const range = count === 1 || it.hostPort === undefined ? '' : `-${it.hostPort + count - 1}`;
  return `${protocol}:${hostText(host)}${range}:${endText(guestAddress, guestPort)}`;
}

/** Whether both would listen at one place of the host. */
export function forwardsClash(one: ForwardConfig, other: ForwardConfig): boolean {
  if (one.protocol !== other.protocol) return false;
  if (one.hostPath !== undefined || other.hostPath !== undefined) return one.hostPath === other.hostPath;
  const [a, b] = [one.hostPort ?? 0, other.hostPort ?? 0];
  const isApart = a + (one.count ?? 1) <= b || b + (other.count ?? 1) <= a;
  return !isApart && addressesClash(one.hostAddress ?? LOOPBACK, other.hostAddress ?? LOOPBACK);
}

const LOOPBACK = '127.0.0.1';

function addressesClash(one: string, other: string): boolean {
  if (one === other || one === '::' || other === '::') return true; // `::` takes IPv4, too
  const isWild = one === '0.0.0.0' || other === '0.0.0.0';
  return isWild && !one.includes(':') && !other.includes(':');
}

type Parts = Readonly<Record<string, unknown>>;

function forwardParts(text: string): Parts | 'ranges differ' | undefined {
  const [, onPath, hostPath, ofPath, atPath] = FROM_PATH.exec(text) ?? [];
  if (onPath !== undefined)
    return {
      protocol: onPath,
      hostPath,
      guestPort: Number(atPath),
      ...(ofPath === undefined ? {} : { guestAddress: bare(ofPath) }),
    };
  const [, protocol, from, first, last = first, to, guestFirst, guestLast] = FROM_PORTS.exec(text) ?? [];
  if (protocol === undefined) return undefined;
  const count = Number(last) - Number(first) + 1;
  if (guestLast !== undefined && Number(guestLast) - Number(guestFirst) + 1 !== count) return 'ranges differ';
  return {
    protocol,
    hostPort: Number(first),
    guestPort: Number(guestFirst),
    ...(from === undefined ? {} : { hostAddress: bare(from) }),
    ...(to === undefined ? {} : { guestAddress: bare(to) }),
    ...(count === 1 ? {} : { count }),
  };
}

/** Longer is no forward; the patterns would take their time with it. */
function isShort(written: unknown): written is string {
  return typeof written === 'string' && written.length <= MAX_TEXT;
}

/** `null` counts as absent. */
function checkedParts(value: unknown, keys: readonly string[], complain: Complain): Parts | undefined {
  if (!isObject(value)) return complain(`must be an object, not ${describe(value)}`);
  for (const key of Object.keys(value)) {
    const message = unknownKey(key, keys);
    if (message !== undefined) return complain(message, `.${key}`);
  }
  return Object.fromEntries(Object.entries(value).filter(([, it]) => it !== null && it !== undefined));
}

type HostEnd = Pick<ForwardConfig, 'hostAddress' | 'hostPort' | 'hostPath'>;

function hostEnd(
  { hostPath, hostPort, hostAddress }: Parts,
  complain: Complain,
  { protocol, count }: { readonly protocol: 'tcp' | 'udp'; readonly count: number },
): HostEnd | undefined {
  if (hostPath === undefined) {
    const end = portAndAddress(hostPort, hostAddress, complain, count);
    if (end === undefined) return undefined;
    return { hostPort: end.port, ...(end.address === undefined ? {} : { hostAddress: end.address }) };
  }
  if (typeof hostPath !== 'string' || hostPath === '' || byteLength(hostPath) > MAX_SOCKET_BYTES)
    return complain(`needs the path of a unix socket, at most ${MAX_SOCKET_BYTES} bytes long`);
  if (hostPath.includes('\0')) return complain('must not contain a NUL character');
  if (protocol === 'udp' || count !== 1 || hostPort !== undefined || hostAddress !== undefined)
    return complain('has a unix socket, which is for TCP, and in place of address and port');
  return { hostPath };
}

function portAndAddress(
  port: unknown,
  address: unknown,
  complain: Complain,
  count: number,
): { port: number; address: string | undefined } | undefined {
  if (!isWhole(port, MAX_PORT)) return complain(`has ports from 1 to ${MAX_PORT}, not ${describe(port)}`);
  if (port + count - 1 > MAX_PORT) return complain(`has ports beyond ${MAX_PORT}`);
  if (address === undefined) return { port, address: undefined };
  if (typeof address === 'string' && (isIpv4(address) || isIpv6(address))) return { port, address };
  return complain(`has addresses such as 127.0.0.1 or ::1, not ${describe(address)}`);
}

function isWhole(value: unknown, most: number): value is number {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= most;
}

/** Without the brackets of IPv6. */
function bare(address: string): string {
  return address.startsWith('[') ? address.slice(1, -1) : address;
}

function endText(address: string | undefined, port: number): string {
  if (address === undefined) return String(port);
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

function hostText({ hostPath, hostAddress, hostPort = 0 }: HostEnd): string {
  return hostPath === undefined ? endText(hostAddress, hostPort) : `unix:${hostPath}`;
}

function resolvePath<T extends HostEnd>(value: T, absolute: (path: string) => string): T {
  return value.hostPath === undefined ? value : { ...value, hostPath: absolute(value.hostPath) };
}

function eitherForm(properties: Readonly<Record<string, ValueSchema>>, required: string[]): ValueSchema {
  return {
    anyOf: [{ type: 'string' }, { type: 'object', properties, required, additionalProperties: false }],
  };
}

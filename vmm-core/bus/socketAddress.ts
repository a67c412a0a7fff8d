/** An end of a socket, as JavaScript has it; kvm/net/ makes struct sockaddr_… of it. */
import { isIPv4, isIPv6 } from 'node:net';

export type SocketAddress =
  | { readonly family: 'ipv4'; readonly address: Uint8Array; readonly port: number }
  | { readonly family: 'ipv6'; readonly address: Uint8Array; readonly port: number; readonly scope?: number }
  /** A path that begins with a NUL is an abstract name (unix(7)); the empty one is that of no name. */
  | { readonly family: 'unix'; readonly path: string };

const IPV4_BYTES = 4;
const IPV6_BYTES = 16;
const IPV6_GROUPS = 8;
const MAX_PORT = 0xffff;

export const LOOPBACK4 = Uint8Array.of(127, 0, 0, 1);
export const LOOPBACK6 = Uint8Array.of(...Array<number>(IPV6_BYTES - 1).fill(0), 1);

/** `10.0.2.2:80`, `[fe80::1%3]:80`, or a path; an abstract name begins with an @. */
export function addressText(address: SocketAddress): string {
  switch (address.family) {
    case 'ipv4':
      return `${ipText(address.address)}:${address.port}`;
    case 'ipv6':
      return `[${ipText(address.address)}${address.scope ? `%${address.scope}` : ''}]:${address.port}`;
    case 'unix':
      return address.path.replace(/^\0/, '@');
  }
}

/** What `addressText` says; a path has a slash in it or begins with an @. */
export function parseAddress(text: string): SocketAddress | undefined {
  if (text.startsWith('@')) return { family: 'unix', path: `\0${text.slice(1)}` };
  if (text.includes('/')) return { family: 'unix', path: text };
  const [, ipv6, scope, ipv4, digits = ''] =
    /^(?:\[([^\]%]*)(?:%(\d+))?\]|([^:[\]]*)):(\d{1,5})$/.exec(text) ?? [];
  const address = parseIp(ipv6 ?? ipv4 ?? '');
  const port = Number(digits);
  if (address === undefined || port > MAX_PORT) return undefined;
  if (address.length === IPV4_BYTES)
    return ipv4 === undefined ? undefined : { family: 'ipv4', address, port };
  if (ipv6 === undefined) return undefined;
  return { family: 'ipv6', address, port, ...(scope === undefined ? {} : { scope: Number(scope) }) };
}

/** Of 4 bytes with dots, of 16 as RFC 5952 §4 has it. */
export function ipText(address: Uint8Array): string {
  if (address.length === IPV4_BYTES) return address.join('.');
  const groups = Array.from(
    { length: IPV6_GROUPS },
    (_, i) => ((address[2 * i] ?? 0) << 8) | (address[2 * i + 1] ?? 0),
  );
  const { start, length } = longestZeros(groups);
  const hex = groups.map((it) => it.toString(16));
  if (length < 2) return hex.join(':');
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`;
}

/** 4 or 16 bytes. */
export function parseIp(text: string): Uint8Array | undefined {
  if (isIPv4(text)) return Uint8Array.from(text.split('.'), Number);
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const [before = '', after] = withoutDots(text).split('::');
  const head = groupsOf(before);
  const tail = groupsOf(after ?? '');
  const zeros = Array.from({ length: IPV6_GROUPS - head.length - tail.length }, () => 0);
  const bytes = new Uint8Array(IPV6_BYTES);
  const view = new DataView(bytes.buffer);
  [...head, ...zeros, ...tail].forEach((group, i) => view.setUint16(2 * i, group));
  return bytes;
}

/** RFC 4291 §2.2.3: the last 32 bits may be written as an IPv4 address. */
function withoutDots(text: string): string {
  return text.replace(/[\d.]+$/, (last) => {
    if (!last.includes('.')) return last;
    const [a = 0, b = 0, c = 0, d = 0] = last.split('.').map(Number);
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
}

function groupsOf(text: string): number[] {
  return text === '' ? [] : text.split(':').map((it) => parseInt(it, 16));
}

/** The first of the longest. */
function longestZeros(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  groups.forEach((group, i) => {
    if (group !== 0) start = i + 1;
    else if (i + 1 - start > best.length) best = { start, length: i + 1 - start };
  });
  return best;
}

/**
 * Values of vm.conf, read as the C library functions behind vmd read them: strtonum, scan_scaled, ether_aton,
 * inet_net_pton.
 */

/** IFNAMSIZ without the NUL. */
export const MAX_HOST_INTERFACE_BYTES = 15;
export const MAX_DISKS = 4;
export const MAX_INTERFACES = 4;
export const MAX_NAME_BYTES = 63;
export const MAX_PATH_BYTES = 1023;
export const MIN_MEMORY = 1n << 20n;

const INT64_MAX = (1n << 63n) - 1n;
/** scan_scaled(3) ends a number at this many digits. */
const MAX_DIGITS = 21;
const SCALES = 'bkmgtpe';

/**
 * scan_scaled(3): "512M", "1.5g", "4096". Undefined when it is not a size. What follows a suffix is ignored
 * unless alphanumeric.
 */
export function scanScaled(text: string): bigint | undefined {
  const match = /^\s*([+-]?)(\d*)(?:\.(\d*))?(.*)$/s.exec(text);
  if (match === null) return undefined;
  const [, sign, whole = '', fraction = '', rest = ''] = match;
  const counted = fraction.slice(0, MAX_DIGITS - 2);
  const overflows = BigInt(whole) > INT64_MAX || BigInt(counted) > INT64_MAX;
  if (whole.length >= MAX_DIGITS || rest.startsWith('.') || overflows) return undefined;
  const scaled = rest === '' ? BigInt(whole) : scale(whole, counted, rest);
  if (scaled === undefined || scaled > INT64_MAX) return undefined;
  return sign === '-' ? -scaled : scaled;
}

function scale(whole: string, fraction: string, rest: string): bigint | undefined {
  const power = SCALES.indexOf(rest.charAt(0).toLowerCase());
  if (power < 0 || /^[A-Za-z0-9]/.test(rest.slice(1))) return undefined;
  const factor = 1n << BigInt(10 * power);
  return BigInt(whole) * factor + (BigInt(fraction || '0') * factor) / 10n ** BigInt(fraction.length);
}

/** The usual spelling. */
export const PLAIN_LLADDR = /^(?:[0-9a-f]{1,2}:){5}[0-9a-f]{1,2}$/i;

/** ether_aton(3): six bytes, or undefined. */
export function parseLladdr(text: string): readonly number[] | undefined {
  if (PLAIN_LLADDR.test(text)) return text.split(':').map((it) => Number.parseInt(it, 16));
  let rest = text.replace(/^\s+/, '');
  const bytes: number[] = [];
  for (let i = 0; i < 6; i++) {
    const match = /^\s*[+-]?(?:0x(?=[0-9a-f]))?([0-9a-f]+)/i.exec(rest); // strtol(…, 16)
    if (match === null) return undefined;
    const value = Number.parseInt(match[1] ?? '', 16);
    if (value > 0xff || (value > 0 && match[0].includes('-'))) return undefined;
    rest = rest.slice(match[0].length);
    if (!rest.startsWith(':') && !(i === 5 && /^(\s|$)/.test(rest))) return undefined;
    rest = rest.slice(1);
    bytes.push(value);
  }
  return bytes;
}

/** As vmd prints it. */
export function lladdrText(bytes: readonly number[]): string {
  return bytes.map((it) => it.toString(16).padStart(2, '0')).join(':');
}

/** Absent in the result: vmd makes a random one. */
export function isNoLladdr(bytes: readonly number[]): boolean {
  return bytes.every((it) => it === 0);
}

interface PrefixRules {
  readonly bits: number;
  readonly minLength: number;
  readonly maxLength: number;
  readonly parse: (text: string) => bigint | undefined;
}

const IPV4: PrefixRules = { bits: 32, minLength: 1, maxLength: 16, parse: parseIpv4Network };
const IPV6: PrefixRules = { bits: 128, minLength: 0, maxLength: 64, parse: parseScopedIpv6 };

/** What is wrong with the prefix, undefined when nothing is. */
export function prefixProblem(text: string, family: 'inet' | 'inet6'): string | undefined {
  const rules = family === 'inet' ? IPV4 : IPV6;
  const slash = text.lastIndexOf('/');
  const address = rules.parse(slash < 0 ? text : text.slice(0, slash));
  const name = family === 'inet' ? 'IPv4' : 'IPv6';
  if (address === undefined) return `"${text}" is not an ${name} network`;
  const length = slash < 0 ? rules.maxLength : strtonum(text.slice(slash + 1));
  if (length === undefined || length < rules.minLength || length > rules.maxLength) {
    return `the prefix length must be ${rules.minLength} to ${rules.maxLength}`;
  }
  const rest = (1n << BigInt(rules.bits - length)) - 1n;
  return (address & rest) === 0n ? undefined : `the bits of "${text}" after the first ${length} must be zero`;
}

/** What is wrong with a network of ours, `10.0.2.0/24` or `fd00::/64`, in full; undefined when nothing is. */
export function networkProblem(text: string, family: 'inet' | 'inet6'): string | undefined {
  const [, written = '', digits = ''] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
  const address = family === 'inet' ? parseIpv4(written) : parseIpv6(written);
  const { bits, lengths, example } = OWN_NETWORKS[family];
  if (address === undefined) return `"${text}" is not written as ${example}`;
  const length = Number(digits);
  const [shortest, longest] = lengths;
  if (length < shortest || length > longest) return `the prefix length must be ${shortest} to ${longest}`;
  const rest = (1n << BigInt(bits - length)) - 1n;
  if ((address & rest) !== 0n) return `the bits of "${text}" after the first ${length} must be zero`;
  const reserved = RESERVED_NETWORKS[family].find(
    (it) => length >= it.length && address >> BigInt(bits - it.length) === it.first,
  );
  return reserved === undefined ? undefined : `no machine has an address of ${reserved.what}`;
}

/** The guest's pool ends at .30; hosts route IPv6 by 64 bits (RFC 4291 §2.5.4). vmd's are in them. */
const OWN_NETWORKS = {
  inet: { bits: 32, lengths: [1, 27], example: '10.0.2.0/24' },
  inet6: { bits: 128, lengths: [0, 64], example: 'fd00::/64' },
} as const;

/** RFC 6890 §2.2.2, RFC 4291 §2.4: their first bits. */
const RESERVED_NETWORKS = {
  inet: [
    { first: 0n, length: 8, what: '0.0.0.0/8, "this network"' },
    { first: 127n, length: 8, what: "127.0.0.0/8, the guest's own loopback" },
    { first: 7n, length: 3, what: '224.0.0.0/3, multicast and reserved' },
  ],
  inet6: [
    { first: 0n, length: 8, what: '0::/8, reserved' },
    { first: 0x3fan, length: 10, what: 'fe80::/10, which each link has anyway' },
    { first: 0xffn, length: 8, what: 'ff00::/8, multicast' },
  ],
} as const;

/** vmd's prefix, `10/8` or `fd42::%em0`, as `networkProblem` wants it; undefined when there is none. */
export function plainPrefix(text: string | undefined, family: 'inet' | 'inet6'): string | undefined {
  if (text === undefined || prefixProblem(text, family) !== undefined) return undefined;
  const [address = '', length] = text.split('/');
  const { maxLength } = family === 'inet' ? IPV4 : IPV6;
  const network = family === 'inet' ? parseIpv4Network(address) : undefined;
  const plain = network === undefined ? address.replace(/%.*/s, '') : ipv4Text(network);
  return `${plain}/${length === undefined ? maxLength : Number(length)}`;
}

function ipv4Text(address: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (address >> shift) & 0xffn).join('.');
}

function strtonum(text: string): number | undefined {
  return /^\s*[+-]?\d{1,18}$/.test(text) ? Number(text) : undefined;
}

/**
 * inet_net_pton(3): 1 to 4 bytes, leading zeros allowed, or hexadecimal; a length that follows it changes
 * nothing.
 */
function parseIpv4Network(text: string): bigint | undefined {
  const [, address = '', length = '0'] = /^([^/]*)(?:\/(\d+))?$/.exec(text) ?? [];
  if (Number(length) > 32) return undefined;
  const bytes = /^0x(?:[0-9a-f]{2,8})$/i.test(address)
    ? (address.slice(2).padEnd(8, '0').match(/../g) ?? []).map((it) => Number.parseInt(it, 16))
    : /^\d+(?:\.\d+){0,3}$/.test(address)
      ? address.split('.').map(Number)
      : [];
  if (bytes.length === 0 || bytes.some((it) => it > 0xff)) return undefined;
  return bytes.reduce((sum, it, i) => sum | (BigInt(it) << BigInt(24 - 8 * i)), 0n);
}

export function isIpv4(text: string): boolean {
  return parseIpv4(text) !== undefined;
}

/** Without a scope. */
export function isIpv6(text: string): boolean {
  return parseIpv6(text) !== undefined;
}

function parseIpv4(text: string): bigint | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((it) => /^(0|[1-9]\d{0,2})$/.test(it) && Number(it) < 256))
    return undefined;
  return parts.reduce((sum, it) => (sum << 8n) | BigInt(it), 0n);
}

/**
 * getaddrinfo(3) takes a scope: a number or, for a link-local address, an interface; another machine may
 * have any.
 */
function parseScopedIpv6(text: string): bigint | undefined {
  const [, address = '', scope = '0'] = /^([^%]*)(?:%(.*))?$/s.exec(text) ?? [];
  const number = strtonum(scope);
  const isLinkLocal = /^(?:fe[89ab].|ff.[12]):/i.test(address);
  const isScope = number === undefined ? isLinkLocal && scope !== '' : number >= 0 && number <= 0xffffffff;
  return isScope ? parseIpv6(address) : undefined;
}

function parseIpv6(text: string): bigint | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [left, right] = halves.map(ipv6Groups);
  if (left === undefined || (halves.length === 2 && right === undefined)) return undefined;
  const missing = 8 - left.length - (right?.length ?? 0);
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...left, ...Array.from({ length: missing }, () => 0), ...(right ?? [])];
  return groups.reduce((sum, it) => (sum << 16n) | BigInt(it), 0n);
}

function ipv6Groups(text: string): number[] | undefined {
  if (text === '') return [];
  const parts = text.split(':');
  const groups: number[] = [];
  for (const [i, part] of parts.entries()) {
    const ipv4 = i === parts.length - 1 && part.includes('.') ? parseIpv4(part) : undefined;
    if (ipv4 !== undefined) groups.push(Number(ipv4 >> 16n), Number(ipv4 & 0xffffn));
    else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return groups;
}

/** Interface groups of OpenBSD. vmd accepts the empty name, too, and ignores it. */
export function isGroupName(name: string): boolean {
  return byteLength(name) <= 15 && !/\d$/.test(name);
}

/** `bridge0`: a driver of the list and a unit. */
export function isInterfaceName(name: string, drivers: readonly string[]): boolean {
  const match = /^([^0-9]+)(\d+)$/.exec(name);
  return (
    match !== null && name.length <= 15 && drivers.includes(match[1] ?? '') && Number(match[2]) <= 0xffffffff
  );
}

/** Of an interface of Linux's: whatever dev_valid_name() takes. */
export function isHostInterface(name: string): boolean {
  return (
    /^[^\s/:]+$/.test(name) && byteLength(name) <= MAX_HOST_INTERFACE_BYTES && name !== '.' && name !== '..'
  );
}

/** Letters, digits, `.`, `-` and `_`, beginning with a letter or digit. */
export function isVmName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name);
}

/** The bytes a text takes in a C program: vmd's limits count these. */
export function byteLength(text: string): number {
  let bytes = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const isSurrogate = code >= 0xd800 && code <= 0xdfff; // a pair is four bytes
    bytes += code < 0x80 ? 1 : code < 0x800 || isSurrogate ? 2 : 3;
  }
  return bytes;
}

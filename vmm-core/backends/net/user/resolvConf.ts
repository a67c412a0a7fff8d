/** What the host's resolver is told (resolv.conf(5)): who answers questions, and what to append to names. */
import { statSync } from 'node:fs';
import { LOOPBACK4, LOOPBACK6, parseIp } from '../../../bus/socketAddress.ts';
import { readRegularFile } from '../../../client/regularFile.ts';

export interface ResolvConf {
  readonly nameservers: readonly Nameserver[];
  readonly search: readonly string[];
}

export interface Nameserver {
  readonly address: Uint8Array;
  /** Of a link-local address: which link. */
  readonly scope?: string;
}

export const RESOLV_CONF = '/etc/resolv.conf';
const MAX_BYTES = 64 * 1024;
/** As glibc's MAXNS, and what DHCP has room for. */
const MAX_NAMESERVERS = 3;
const MAX_SEARCH = 6;

export function parseResolvConf(text: string): ResolvConf {
  const nameservers: Nameserver[] = [];
  let search: string[] = [];
  for (const line of text.split('\n')) {
    const [keyword, ...words] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/);
    if (keyword === 'nameserver' && nameservers.length < MAX_NAMESERVERS) {
      const nameserver = parseNameserver(words[0] ?? '');
      if (nameserver !== undefined) nameservers.push(nameserver);
    }
    if (keyword === 'search' || keyword === 'domain') search = words.filter(isDomain).slice(0, MAX_SEARCH);
  }
  return { nameservers, search };
}

/** `192.0.2.1`, `2001:db8::1`, `fe80::1%eth0`. */
export function parseNameserver(text: string): Nameserver | undefined {
  const [addressText = '', scope] = text.split('%');
  const address = parseIp(addressText);
  if (address === undefined) return undefined;
  // 0.0.0.0 and :: are this host (resolver(3)), which answers from its loopback's address.
  if (address.every((byte) => byte === 0)) return { address: address.length === 4 ? LOOPBACK4 : LOOPBACK6 };
  return scope === undefined ? { address } : { address, scope };
}

/** The file, and whether it has changed since. Without one: the local resolver, as resolver(3) does. */
export class ResolvConfFile {
  readonly #path: string;
  #seen = '';
  #content: ResolvConf = { nameservers: [{ address: LOOPBACK4 }], search: [] };

  constructor(path = RESOLV_CONF) {
    this.#path = path;
    this.refresh();
  }

  get content(): ResolvConf {
    return this.#content;
  }

  /** True: it says something else now. */
  refresh(): boolean {
    try {
      const stat = statSync(this.#path);
      const seen = `${stat.dev}:${stat.ino}:${stat.mtimeMs}:${stat.size}`;
      if (seen === this.#seen) return false;
      const read = parseResolvConf(readRegularFile(this.#path, { maxBytes: MAX_BYTES }).toString('latin1'));
      this.#seen = seen;
      if (read.nameservers.length > 0) this.#content = read;
      return true;
    } catch {
      return false; // it is being replaced, or there is none: what we know holds
    }
  }
}

function isDomain(text: string): boolean {
  return text.length <= 253 && /^([A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?$/.test(text);
}

/**
 * The addresses of a private link to the host, by vmd's arithmetic (vmd(8), vm.conf(5) `local prefix`): of
 * the prefix each VM has 256 addresses, and of those each interface a pair, which is a network of its own
 * (RFC 3021). The first pair is left out.
 */
import { parseIp } from '../../../bus/socketAddress.ts';
import { UserError } from '../../../errors.ts';

/** RFC 6598: what no host's own network is likely to be. */
export const LOCAL_PREFIX = '100.64.0.0/10';
/** Of a /31. */
export const LOCAL_MASK = Uint8Array.of(255, 255, 255, 254);

const ADDRESS_BITS = 32;
const VM_BITS = 8;
const FNV_OFFSET = 0x811c9dc5; // 32-bit FNV-1a
const FNV_PRIME = 0x01000193;

export interface LocalPair {
  readonly host: Uint8Array;
  readonly guest: Uint8Array;
}

/**
 * The pair of the interface with that number, from 0, of the VM with that name. vmd has numbers for VMs; ours
 * are made of their names, and the next that is free is taken. Throws UserError: none is.
 */
export function localPair(
  prefix: string,
  vmName: string,
  index: number,
  isTaken: (address: Uint8Array) => boolean,
): LocalPair {
  const { network, bits } = parsePrefix(prefix);
  const vms = 2 ** Math.max(0, ADDRESS_BITS - bits - VM_BITS);
  const first = hashOf(vmName);
  for (let i = 0; i < vms; i++) {
    const vm = (first + i) % vms;
    if (vm === 0 && vms > 1) continue; // vmd counts from 1
    const host = network + vm * 2 ** VM_BITS + 2 * index + 2;
    if (host + 1 >= network + 2 ** (ADDRESS_BITS - bits)) break;
    const pair = { host: bytesOf(host), guest: bytesOf(host + 1) };
    if (!isTaken(pair.host) && !isTaken(pair.guest)) return pair;
  }
  throw new UserError(
    `no pair of addresses is left in ${prefix}, the prefix of local interfaces: take another`,
  );
}

/** The other address of a /31. */
export function otherOf(address: Uint8Array): Uint8Array {
  const other = address.slice();
  other[3] = (other[3] ?? 0) ^ 1;
  return other;
}

function parsePrefix(text: string): { readonly network: number; readonly bits: number } {
  const [addressText = '', bitsText = ''] = text.split('/');
  const address = parseIp(addressText);
  const bits = Number(bitsText);
  if (address?.length !== 4 || !/^\d{1,2}$/.test(bitsText) || bits < 1 || bits >= ADDRESS_BITS)
    throw new UserError(`"${text}" is no IPv4 prefix for local interfaces: write it as ${LOCAL_PREFIX}`);
  const number = new DataView(address.buffer).getUint32(0);
  return { network: number - (number % 2 ** (ADDRESS_BITS - bits)), bits };
}

function bytesOf(address: number): Uint8Array {
  return Uint8Array.from([24, 16, 8, 0], (shift) => (address >>> shift) & 0xff);
}

function hashOf(text: string): number {
  let hash = FNV_OFFSET;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, FNV_PRIME);
  return hash >>> 0;
}

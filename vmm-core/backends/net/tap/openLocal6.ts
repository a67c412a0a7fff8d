/** IPv6 of a private link to the host, on main: gives the host's end its address. */
import { networkInterfaces } from 'node:os';
import { ipText, parseIp } from '../../../bus/socketAddress.ts';
import { errnoText, UserError } from '../../../errors.ts';
import { EACCES, EAFNOSUPPORT } from '../../../kvm/errno.ts';
import { addInterfaceAddress6, refuseRouterAdverts, removeInterfaceAddress6 } from '../../../kvm/net/tun.ts';
import type { LinkHost } from '../linkKind.ts';
import {
  guestOf,
  isSameNetwork6,
  linkLocalOf,
  localNetwork6,
  type LocalNetwork6,
  OWN_BITS,
  VMD_BITS,
} from './localAddresses6.ts';
import type { LocalEnd6 } from './localRouter.ts';

/** The host's end, as far as IPv4 has it. */
export interface LocalTap {
  readonly name: string;
  readonly hostMac: Uint8Array;
  /** The guest's. */
  readonly guest: Uint8Array;
}

interface Own6 {
  readonly interface: string;
  readonly address: Uint8Array;
  readonly bits: number;
}

const LINK_LOCAL = /^fe80:/i;

/** Throws UserError. */
export function openIpv6(tap: LocalTap, prefix: string, host: LinkHost): LocalEnd6 {
  const { name } = tap;
  refuseRouterAdverts(name); // not ours to change it may be: then it is its owner's to judge
  const own = addresses6().find((it) => it.interface === name && !isLinkLocal(it) && isOfLink(it));
  const { address, bits } = own ?? giveAddress(tap, prefix, host);
  const linkLocal = addresses6().find((it) => it.interface === name && isLinkLocal(it))?.address;
  return { address, bits, linkLocal: linkLocal ?? linkLocalOf(tap.hostMac) };
}

function giveAddress(tap: LocalTap, prefix: string, host: LinkHost): Own6 {
  const { name, guest } = tap;
  const choose = (isTaken: (address: Uint8Array) => boolean): LocalNetwork6 =>
    localNetwork6(prefix, host.vmName, host.index, guest, isTaken);
  let given = choose((it) => isTaken(it, name));
  setAddress(name, given);
  // Of two VMs that start at once both may have taken it for free: then each sees the other now, or one does.
  if (given.bits === OWN_BITS && isTaken(given.host, name)) {
    removeInterfaceAddress6(name, given.host, given.bits);
    given = choose((it) => isTaken(it, name));
    setAddress(name, given);
  }
  if (given.bits === VMD_BITS)
    host.trouble(
      `another interface of this host has the network of ${prefix}: a guest at ${name} makes itself no IPv6 ` +
        `address, but can be given ${ipText(guestOf(given.host))}/${VMD_BITS}; a shorter prefix has room for all`,
    );
  return { interface: name, address: given.host, bits: given.bits };
}

function setAddress(name: string, { host, bits }: LocalNetwork6): void {
  const result = addInterfaceAddress6(name, host, bits);
  if (result === 0) return;
  const text = errnoText(-result);
  throw new UserError(
    result === -EACCES || result === -EAFNOSUPPORT
      ? `IPv6 is off at ${name} (${text}): "sudo sysctl net.ipv6.conf.default.disable_ipv6=0" turns it on for ` +
          'new interfaces, or leave the IPv6 prefix out'
      : `${name} may not be given an address from here (${text}): ` +
          `"sudo ip addr add ${ipText(host)}/${bits} dev ${name}" does it`,
  );
}

/** By another interface, as its own network. */
function isTaken(address: Uint8Array, name: string): boolean {
  return addresses6().some(
    (it) => it.interface !== name && it.bits === OWN_BITS && isSameNetwork6(it.address, address),
  );
}

function isLinkLocal({ address }: Own6): boolean {
  return LINK_LOCAL.test(ipText(address));
}

/** What its owner has given it already. */
function isOfLink({ bits }: Own6): boolean {
  return bits === OWN_BITS || bits === VMD_BITS;
}

function addresses6(): readonly Own6[] {
  return Object.entries(networkInterfaces()).flatMap(([name, entries]) =>
    (entries ?? []).flatMap(({ address: text, cidr }) => {
      const address = parseIp(text);
      const bits = Number(cidr?.split('/')[1]);
      return address?.length === 16 ? [{ interface: name, address, bits }] : [];
    }),
  );
}

/**
 * Main's side of a private link to the host, as vmd has it: a tap whose host's end has addresses, and a DHCP
 * server and a router of ours on the guest's side. What goes on from there (routes, NAT, names) is the host's
 * to say.
 */
import { readdirSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { ipText, parseIp } from '../../../bus/socketAddress.ts';
import type { NetworkConfig } from '../../../config/settings/networkOptions.ts';
import { errnoText, UserError } from '../../../errors.ts';
import { closeFd } from '../../../kvm/libc.ts';
import { interfaceMac, interfaceNetwork, setInterfaceAddress } from '../../../kvm/net/tun.ts';
import type { LinkBackend, LinkHost } from '../linkKind.ts';
import { hostnameOf } from '../user/dhcp.ts';
import { LOCAL_MASK, LOCAL_PREFIX, localPair, type LocalPair, otherOf } from './localAddresses.ts';
import type { LocalOpened } from './localLink.ts';
import { openIpv6 } from './openLocal6.ts';
import { bringUp, openTapOf, tapBackend } from './openTap.ts';

/** Throws UserError. */
export function open({ tap: name, mtu, prefix, prefix6 }: NetworkConfig, host: LinkHost): LinkBackend {
  const tap = openTapOf(name, host);
  try {
    bringUp(tap.name, mtu, host);
    const pair = addressesOf(tap.name) ?? giveAddresses(tap.name, prefix ?? LOCAL_PREFIX, host);
    const hostMac = interfaceMac(tap.name);
    if (typeof hostMac === 'number') throw new UserError(`${tap.name} is gone: ${errnoText(-hostMac)}`);
    const ipv6 =
      prefix6 === undefined
        ? undefined
        : openIpv6({ name: tap.name, hostMac, guest: pair.guest }, prefix6, host);
    const opened: LocalOpened = { ...tap, ...pair, hostMac, hostname: hostnameOf(host.vmName), ipv6 };
    const addresses = [pair.host, ...(ipv6 === undefined ? [] : [ipv6.address])].map(ipText);
    return { ...tapBackend(opened), wiredTo: [tap.name, ...addresses].join(', ') };
  } catch (error) {
    tap.fds.forEach(closeFd);
    throw error;
  }
}

/** By that name an interface has one address more; one that is given by its own replaces the first. */
function aliasOf(name: string): string {
  return `${name}:1`;
}

/** Of an interface that its owner has given some already. */
function addressesOf(name: string): LocalPair | undefined {
  const mask = ipText(LOCAL_MASK);
  for (const label of [name, aliasOf(name)]) {
    const found = interfaceNetwork(label);
    if (typeof found !== 'number' && ipText(found.netmask) === mask)
      return { host: found.address, guest: otherOf(found.address) };
  }
  const own = networkInterfaces()[name]?.find(({ family, netmask }) => family === 'IPv4' && netmask === mask);
  const host = own && parseIp(own.address);
  return host && { host, guest: otherOf(host) };
}

/** Of this host. Interfaces that are down or without a carrier, which node:os leaves out, have them too. */
function takenAddresses(except: readonly string[] = []): ReadonlySet<string> {
  const listed = Object.entries(networkInterfaces()).flatMap(([it, entries]) =>
    except.includes(it) ? [] : (entries?.map(({ address }) => address) ?? []),
  );
  const labels = interfaceNames()
    .flatMap((it) => [it, aliasOf(it)])
    .filter((it) => !except.includes(it));
  const firsts = labels.flatMap((it) => {
    const found = interfaceNetwork(it);
    return typeof found === 'number' ? [] : [ipText(found.address)];
  });
  return new Set([...listed, ...firsts]);
}

function interfaceNames(): readonly string[] {
  try {
    return readdirSync('/sys/class/net');
  } catch {
    return []; // a container without /sys: those that are up are known
  }
}

function giveAddresses(name: string, prefix: string, { vmName, index }: LinkHost): LocalPair {
  const label = typeof interfaceNetwork(name) === 'number' ? name : aliasOf(name);
  const give = (): LocalPair => {
    const taken = takenAddresses();
    const pair = localPair(prefix, vmName, index, (address) => taken.has(ipText(address)));
    setAddress(name, label, pair.host);
    return pair;
  };
  const pair = give();
  // Of two VMs that start at once both may have taken it for free: then each sees the other now, or one does.
  return takenAddresses([name, label]).has(ipText(pair.host)) ? give() : pair;
}

function setAddress(name: string, label: string, host: Uint8Array): void {
  const result = setInterfaceAddress(label, host, LOCAL_MASK);
  if (result < 0)
    throw new UserError(
      `${name} may not be given an address from here (${errnoText(-result)}): ` +
        `"sudo ip addr add ${ipText(host)}/31 dev ${name}" does it`,
    );
}

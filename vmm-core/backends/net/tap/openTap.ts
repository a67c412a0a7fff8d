/** Main's side of a tap: opens the interface, or makes one, and says what to do where that cannot be. */
import { userInfo } from 'node:os';
import {
  TUN_F_CSUM,
  TUN_F_TSO4,
  TUN_F_TSO6,
  TUN_F_TSO_ECN,
  TUN_F_USO4,
  TUN_F_USO6,
} from '../../../abi/tun.ts';
import { readRegularFile } from '../../../client/regularFile.ts';
import type { NetworkConfig } from '../../../config/settings/networkOptions.ts';
import { errnoText, UserError } from '../../../errors.ts';
import { EACCES, EBUSY, EINVAL, ENODEV, ENOENT, ENXIO, EPERM } from '../../../kvm/errno.ts';
import { closeFd } from '../../../kvm/libc.ts';
import {
  interfaceMac,
  interfaceMtu,
  openTap as openTapQueues,
  setInterfaceMtu,
  setInterfaceUp,
  setTapOffloads,
  type Tap,
  TUN_DEVICE,
} from '../../../kvm/net/tun.ts';
import type { LinkBackend, LinkHost } from '../linkKind.ts';
import { openVhost } from './openVhost.ts';
import type { TapOpened } from './tapLink.ts';

/** Throws UserError. */
export function open({ tap: name, mtu, vhost }: NetworkConfig, host: LinkHost): LinkBackend {
  const tap = openTapOf(name, host);
  bringUp(tap.name, mtu, host);
  return tapBackend(vhost === true ? { ...tap, vhostFds: openVhost(tap.fds.length, host) } : tap);
}

export function tapBackend(opened: TapOpened): LinkBackend {
  return {
    opened,
    wiredTo: opened.name,
    close: (isAttached) => {
      if (!isAttached) [...opened.fds, ...opened.vhostFds].forEach(closeFd);
    },
  };
}

/** One with several queues where it can have them. Throws UserError. */
export function openTapOf(name: string | undefined, host: Pick<LinkHost, 'pairs'>): TapOpened {
  const named = name === undefined ? {} : { name };
  let tap = openTapQueues({ ...named, queues: host.pairs });
  if (tap === -EINVAL && host.pairs > 1) tap = openTapQueues({ ...named, queues: 1 });
  if (typeof tap === 'number') throw new UserError(whyNot(name, -tap));
  return { ...tap, offloads: knownOffloads(tap), vhostFds: [] };
}

/**
 * The host's end takes what the guest sends only when it is up. Not ours to change it may be: then the user
 * is told, if anything is missing.
 */
export function bringUp(name: string, mtu: number | undefined, { trouble }: Pick<LinkHost, 'trouble'>): void {
  if (mtu !== undefined && setInterfaceMtu(name, mtu) < 0 && interfaceMtu(name) < mtu)
    trouble(
      `${name} takes datagrams of up to ${interfaceMtu(name)} bytes, and the guest's end ${mtu}: ` +
        `"sudo ip link set ${name} mtu ${mtu}" makes them the same`,
    );
  const result = setInterfaceUp(name, true);
  if (result < 0)
    trouble(`${name} is down, and may not be brought up from here: do it by "sudo ip link set ${name} up"`);
}

const OFFLOADS = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
const USO = TUN_F_USO4 | TUN_F_USO6;

/** The kernel refuses what it does not know. */
function knownOffloads({ fds: [fd = -1] }: Tap): number {
  const known = [OFFLOADS | USO, OFFLOADS].find((it) => setTapOffloads(fd, it) === 0) ?? 0;
  setTapOffloads(fd, 0);
  return known;
}

/** A sentence: what is wrong, and what to do. */
export function whyNot(name: string | undefined, errno: number): string {
  switch (errno) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return `this host has no ${TUN_DEVICE}, which taps need: load it by "sudo modprobe tun", or use a network of kind "user"`;
    case EACCES:
      return `${TUN_DEVICE} may not be opened: "sudo chmod 666 ${TUN_DEVICE}" allows it, as most distributions do`;
    case EPERM:
      return name === undefined ? needsRoot() : notOurs(name);
    case EBUSY:
      return `the interface "${name ?? ''}" is in use by another program, perhaps another VM: end that, or name another tap`;
    case EINVAL:
      return `"${name ?? ''}" is no tap interface: name one made by "ip tuntap add ${MADE_AS}"`;
    default:
      return `the tap ${name ?? ''} cannot be opened: ${errnoText(errno)}`;
  }
}

const MADE_AS = 'NAME mode tap';

/** A number where /etc/passwd has no name, as in containers: `ip tuntap` takes both. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.());
  }
}

function needsRoot(): string {
  return `making a tap needs root: have one made by "sudo ip tuntap add tap0 mode tap user ${userName()}" and name it, or use a network of kind "user"`;
}

function notOurs(name: string): string {
  const username = userName();
  if (interfaceMac(name) === -ENODEV)
    return `there is no interface "${name}", and making one needs root: "sudo ip tuntap add ${name} mode tap user ${username}" does it`;
  const owner = ownerOf(name);
  return (
    `the interface "${name}" ${owner === undefined ? 'is not yours' : `belongs to the user ${owner}`}: ` +
    `make another by "sudo ip tuntap add NAME mode tap user ${username}"`
  );
}

/** A number, as the kernel tells it; undefined: nobody's, or no tap. */
function ownerOf(name: string): string | undefined {
  try {
    const owner = readRegularFile(`/sys/class/net/${name}/owner`, { maxBytes: 4096 }).toString().trim();
    return owner === '-1' ? undefined : owner;
  } catch {
    return undefined; // it has no such file, or is gone
  }
}

/**
 * Who of a switch's members holds its uplink, and so forwards frames between the host's network and all of
 * them: whoever has the lock in the switch's folder, which the kernel releases when that process ends. Main
 * tries when an interface is opened, and the I/O thread when a member has gone.
 */
import { constants, statSync } from 'node:fs';
import path from 'node:path';
import { errnoText, UserError } from '../../../errors.ts';
import { EEXIST, ENODEV, EPERM } from '../../../kvm/errno.ts';
import { createFile, openFolder } from '../../../kvm/files.ts';
import { closeFd, tryLock } from '../../../kvm/libc.ts';
import { addToBridge, interfaceMac } from '../../../kvm/net/tun.ts';
import type { LinkHost } from '../linkKind.ts';
import { bringUp, openTapOf } from '../tap/openTap.ts';
import type { TapOpened } from '../tap/tapLink.ts';
import { shareIn } from './switchFolder.ts';

const LOCK = 'uplink.lock';
const OWN_MODE = 0o600;
const { O_CREAT, O_EXCL, O_NONBLOCK, O_RDONLY } = constants;
/** As OpenBSD calls its bridges: a vm.conf that was written there names one that this host has not. */
const FOREIGN_BRIDGE = /^(?:bridge|veb)\d+$/;

export interface HeldUplink {
  readonly lockFd: number;
  readonly tap: TapOpened;
}

export interface UplinkRequest {
  /** Of the switch. */
  readonly folder: string;
  /** A tap, existing or new, or a bridge. */
  readonly name: string;
  readonly mtu: number;
}

type Trouble = Pick<LinkHost, 'trouble'>;

/** Undefined: another member has it, or the host has no such thing, which was told. Throws UserError. */
export function takeUplink(request: UplinkRequest, host: Trouble): HeldUplink | undefined {
  const { name } = request;
  if (FOREIGN_BRIDGE.test(name) && interfaceMac(name) === -ENODEV) {
    host.trouble(`this host has no ${name}: the switch at ${request.folder} joins VMs, and nothing else`);
    return undefined;
  }
  const lockFd = openLock(request.folder);
  if (!tryLock(lockFd)) {
    closeFd(lockFd);
    return undefined;
  }
  try {
    return { lockFd, tap: openUplink(request, host) };
  } catch (error) {
    closeFd(lockFd);
    throw error;
  }
}

export function releaseUplink({ lockFd, tap }: HeldUplink): void {
  tap.fds.forEach(closeFd);
  closeFd(lockFd);
}

function openLock(folder: string): number {
  const dirFd = openFolder(folder);
  if (dirFd < 0) throw new UserError(`cannot open the switch's folder ${folder}: ${errnoText(-dirFd)}`);
  // For reading: a lock needs no more, of another user's file.
  let fd = createFile(dirFd, LOCK, O_RDONLY | O_CREAT | O_EXCL, OWN_MODE);
  const isNew = fd >= 0;
  if (fd === -EEXIST) fd = createFile(dirFd, LOCK, O_RDONLY | O_NONBLOCK, OWN_MODE);
  closeFd(dirFd);
  if (fd < 0) throw new UserError(`cannot open ${path.join(folder, LOCK)}: ${errnoText(-fd)}`);
  if (!isNew) return fd;
  try {
    shareIn(folder, LOCK); // who may join may hold it
    return fd;
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}

function openUplink({ name, mtu }: UplinkRequest, host: Trouble): TapOpened {
  const isBridge = statSync(`/sys/class/net/${name}/bridge`, { throwIfNoEntry: false }) !== undefined;
  const tap = openTapOf(isBridge ? undefined : name, { pairs: 1 });
  bringUp(tap.name, mtu, host);
  const result = isBridge ? addToBridge(name, tap.name) : 0;
  if (result === 0) return tap;
  tap.fds.forEach(closeFd);
  throw new UserError(
    result === -EPERM
      ? `the bridge ${name} takes a port from root only: have a tap of yours made one of it by "sudo ip link set TAP master ${name}", and name that as the uplink`
      : `the bridge ${name} takes no port: ${errnoText(-result)}`,
  );
}

/** Main's side of an interface on a switch: joins, and leaves when the VM ends. */
import type { NetworkConfig } from '../../../config/settings/networkOptions.ts';
import { UserError } from '../../../errors.ts';
import { closeFd } from '../../../kvm/libc.ts';
import type { LinkBackend, LinkHost } from '../linkKind.ts';
import { type HeldUplink, releaseUplink, takeUplink, type UplinkRequest } from './holdUplink.ts';
import { joinSwitch, leaveSwitch, type Membership } from './switchFolder.ts';

/** For the I/O thread. */
export interface OpenedSwitch extends Membership {
  readonly vm: string;
  readonly mtu: number;
  /** `held`: undefined when another member has it. */
  readonly uplink: { readonly request: UplinkRequest; readonly held: HeldUplink | undefined } | undefined;
}

/** Throws UserError. */
export function open({ switch: name, uplink }: NetworkConfig, host: LinkHost): LinkBackend {
  const { vmName, index, mtu } = host;
  if (name === undefined)
    throw new UserError(`interface ${index} says that it is on a switch, but not on which`);
  const membership = joinSwitch(name, `${vmName}-${index}-${process.pid}`);
  const leave = (isAttached: boolean, held?: HeldUplink): void => {
    leaveSwitch(membership);
    if (isAttached) return;
    closeFd(membership.fd);
    if (held !== undefined) releaseUplink(held);
  };
  try {
    const opened: OpenedSwitch = {
      ...membership,
      vm: vmName,
      mtu,
      uplink: uplinkOf(membership, uplink, host),
    };
    const held = opened.uplink?.held;
    return { opened, wiredTo: name, close: (isAttached) => leave(isAttached, held) };
  } catch (error) {
    leave(false);
    throw error;
  }
}

function uplinkOf({ folder }: Membership, name: string | undefined, host: LinkHost): OpenedSwitch['uplink'] {
  if (name === undefined) return undefined;
  const request = { folder, name, mtu: host.mtu };
  return { request, held: takeUplink(request, host) };
}

/** Main's side of an interface on a switch: joins, and leaves when the VM ends. */
import type { NetworkConfig } from '../../../config/settings/networkOptions.ts';
import { UserError } from '../../../errors.ts';
import { closeFd } from '../../../kvm/libc.ts';
import type { LinkBackend, LinkHost } from '../linkKind.ts';
import { joinSwitch, leaveSwitch, type Membership } from './switchFolder.ts';

/** For the I/O thread. */
export interface OpenedSwitch extends Membership {
  readonly vm: string;
  readonly mtu: number;
}

/** Throws UserError. */
export function open(config: NetworkConfig, { vmName, index, mtu }: LinkHost): LinkBackend {
  const { switch: name } = config;
  if (name === undefined)
    throw new UserError(`interface ${index} says that it is on a switch, but not on which`);
  const membership = joinSwitch(name, `${vmName}-${index}-${process.pid}`);
  const opened: OpenedSwitch = { ...membership, vm: vmName, mtu };
  return {
    opened,
    wiredTo: name,
    close: (isAttached) => {
      leaveSwitch(membership);
      if (!isAttached) closeFd(membership.fd);
    },
  };
}

/** Main's side of vhost: descriptors of the kernel's, and why there are none. */
import { errnoText } from '../../../errors.ts';
import { EACCES, ENODEV, ENOENT, ENXIO, EOPNOTSUPP, EPERM } from '../../../kvm/errno.ts';
import { closeFd } from '../../../kvm/libc.ts';
import { openVhostNet, VHOST_NET_DEVICE } from '../../../kvm/net/vhostNet.ts';
import type { LinkHost } from '../linkKind.ts';

/** One a pair, or none, and the user is told: the interface works without. */
export function openVhost(
  pairs: number,
  { name, trouble }: Pick<LinkHost, 'name' | 'trouble'>,
  openOne: () => number = openVhostNet,
): readonly number[] {
  const fds: number[] = [];
  for (let i = 0; i < pairs; i++) {
    const fd = openOne();
    if (fd < 0) {
      fds.forEach(closeFd);
      trouble(`${whyNoVhost(-fd)}; ${name} runs without it, and the VMM moves its frames itself`);
      return [];
    }
    fds.push(fd);
  }
  return fds;
}

/** What is wrong, and what to do. */
export function whyNoVhost(errno: number): string {
  switch (errno) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return `this host has no ${VHOST_NET_DEVICE}: "sudo modprobe vhost_net" loads it`;
    case EACCES:
    case EPERM:
      return `${VHOST_NET_DEVICE} may not be opened: "sudo setfacl -m u:$USER:rw ${VHOST_NET_DEVICE}" allows it`;
    case EOPNOTSUPP:
      return `${VHOST_NET_DEVICE} of this kernel is too old: Linux 4.0 has what it lacks`;
    default:
      return `${VHOST_NET_DEVICE} cannot be used: ${errnoText(errno)}`;
  }
}

/** The `user` network's half on the I/O thread, put together. */
import type { GuestPort, NetLink } from '../netLink.ts';
import { KERNEL_SOCKETS } from './tcp/kernelSockets.ts';
import { TcpNat } from './tcp/tcpNat.ts';
import type { TcpPart } from './tcpPart.ts';
import { TAG_TCP, tagOf, type UserHost } from './userHost.ts';
import { UserLink } from './userLink.ts';
import type { UserOpened } from './userMessages.ts';

export function attach(opened: unknown, port: GuestPort): NetLink {
  return new UserLink(opened as UserOpened, port, tcpOf);
}

/** TCP by the host's sockets. */
export function tcpOf(host: UserHost): TcpPart {
  const { destinations, network, port } = host;
  return new TcpNat({
    port,
    sockets: KERNEL_SOCKETS,
    mac: network.mac,
    tagBase: tagOf(TAG_TCP, 0),
    now: () => host.nowMs(),
    translate: (address, destinationPort) => {
      const destination = destinations.ofTcp(address, destinationPort);
      return destination === 'filtered' ? 'refused' : destination;
    },
    macOf: (address) => host.macOf(address),
    unreachable: (lost, sequence, error) => host.errors.aboutSyn(lost, sequence, error),
  });
}

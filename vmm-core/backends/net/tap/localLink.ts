/** A private link to the host: a tap, and a DHCP server and a router of IPv6 before it. On the I/O thread. */
import type { GuestPort, NetLink } from '../netLink.ts';
import { LocalDhcp, type LocalEnds } from './localDhcp.ts';
import { type LocalEnd6, LocalRouter } from './localRouter.ts';
import { TapLink, type TapOpened } from './tapLink.ts';

/** From main; plain data. */
export interface LocalOpened extends TapOpened, LocalEnds {
  /** Undefined: the link has no IPv6 but what both ends make up themselves. */
  readonly ipv6: LocalEnd6 | undefined;
}

/** `opened`: as `open` of openLocal.ts made it. */
export function attach(opened: unknown, port: GuestPort): NetLink {
  const local = opened as LocalOpened;
  const { ipv6, hostMac } = local;
  const dhcp = new LocalDhcp(port, local);
  return new TapLink(local, port, ipv6 === undefined ? [dhcp] : [dhcp, new LocalRouter(port, ipv6, hostMac)]);
}

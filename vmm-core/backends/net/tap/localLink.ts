/** A private link to the host: a tap, and a DHCP server before it. On the I/O thread. */
import type { GuestPort, NetLink } from '../netLink.ts';
import { LocalDhcp, type LocalEnds } from './localDhcp.ts';
import { TapLink, type TapOpened } from './tapLink.ts';

/** From main; plain data. */
export type LocalOpened = TapOpened & LocalEnds;

/** `opened`: as `open` of openLocal.ts made it. */
export function attach(opened: unknown, port: GuestPort): NetLink {
  const local = opened as LocalOpened;
  return new TapLink(local, port, new LocalDhcp(port, local));
}

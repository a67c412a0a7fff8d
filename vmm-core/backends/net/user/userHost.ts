/** What the parts of the `user` network share on the I/O thread. */
import type { GuestPort } from '../netLink.ts';
import type { UserNetwork } from './addresses.ts';
import type { Destinations } from './destinations.ts';
import type { IcmpErrors } from './icmpErrors.ts';
import type { IpSender } from './ipSender.ts';
import type { Nameservers } from './nameservers.ts';
import type { PacketBuffer } from './packetBuffer.ts';

export interface UserHost {
  readonly port: GuestPort;
  readonly network: UserNetwork;
  readonly sender: IpSender;
  readonly errors: IcmpErrors;
  readonly destinations: Destinations;
  readonly nameservers: Nameservers;
  /** Has what the guest sent, from the transport's header on, while a packet of its is looked at. */
  readonly request: PacketBuffer;
  /** For what is sent to the guest; free between two calls. */
  readonly reply: PacketBuffer;
  nowMs(): number;
  /** The guest's address that forwards go to, and where it is. */
  guestAddress(): Uint8Array;
  macOf(address: Uint8Array): Uint8Array;
  /** A descriptor could not be had, or the host refuses: said once for each sentence. */
  troubleOnce(sentence: string): void;
}

/** Which part a descriptor of the poller belongs to: the upper bits of its tag. */
export const TAG_SHIFT = 28;
export const TAG_TCP = 0;
export const TAG_UDP = 1;
export const TAG_UDP_FORWARD = 2;
export const TAG_TCP_FORWARD = 3;
export const TAG_PING = 4;

export function tagOf(part: number, index: number): number {
  return part * 2 ** TAG_SHIFT + index;
}

/** Of one turn of a socket: others wait. */
export const DATAGRAMS_A_TURN = 32;
/** Room for any datagram, in `request` or `reply` behind a transport's header. */
export const RECEIVE_BYTES = 0xffff;

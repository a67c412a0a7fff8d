/** TCP, as the rest of the `user` network knows it: TcpNat of tcp/ is one. */
import type { GuestFrame, LinkValue } from '../netLink.ts';
import type { IpPacket } from './packet/ipPacket.ts';
import type { Endpoint } from './tcp/tcpHost.ts';

export interface TcpPart {
  onSegment(packet: IpPacket, frame: GuestFrame): void;
  /** A connection of the outside, to the guest; owns the descriptor. */
  openToGuest(fd: number, from: Endpoint, to: Endpoint): void;
  onReady(tag: number, events: number): void;
  onRoom(): void;
  onSent(): void;
  /** Returns when the next is due; Infinity: nothing is. */
  onTimer(nowMs: number): number;
  reset(): void;
  report(): LinkValue;
  close(): void;
}

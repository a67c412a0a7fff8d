/** What TCP of the user network needs of others. */
import type { GuestPort } from '../../netLink.ts';
import type { SocketAddress } from '../../../../bus/socketAddress.ts';
import type { IcmpError, LostPacket } from '../icmpErrors.ts';

/**
 * The host's stream sockets, none of which ever waits (kvm/net/sockets.ts; tests have their own). Results: a
 * descriptor or 0, or -errno. Data moves by GuestPort.message.
 */
export interface HostSockets {
  open(family: SocketAddress['family']): number;
  /** Of each that is to move data, also one that was accepted. */
  prepare(fd: number): void;
  /** -EINPROGRESS: EPOLLOUT follows, and `pendingError` tells how it went. */
  connect(fd: number, address: SocketAddress): number;
  /** The errno that a connection failed with; 0: it is there. */
  pendingError(fd: number): number;
  /** The peer reads the end of what was sent. */
  shutdownWrite(fd: number): void;
  close(fd: number): void;
  /** The peer is told that the connection was broken off. */
  abort(fd: number): void;
}

/** `refused`: the guest is told so. `ignored`: it hears nothing. */
export type Destination = SocketAddress | 'refused' | 'ignored';

export interface TcpHost {
  readonly port: GuestPort;
  readonly sockets: HostSockets;
  /** What all our frames come from. */
  readonly mac: Uint8Array;
  /** The Poller's tags from here on are TCP's, TCP_TAGS of them. */
  readonly tagBase: number;
  /** In milliseconds. */
  now(): number;
  /** Where a connection of the guest goes. The address is valid during the call. */
  translate(address: Uint8Array, port: number): Destination;
  /** The Ethernet address of a guest's address, by ARP or NDP; the interface's own where nothing is known. */
  macOf(address: Uint8Array): Uint8Array;
  /** Tells the guest by ICMP that its SYN of that number goes nowhere. */
  unreachable(lost: LostPacket, sequence: number, error: IcmpError): void;
}

/** An end of a connection. */
export interface Endpoint {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly port: number;
}

/** Connections at one time. */
export const MAX_CONNECTIONS = 4096;
/** A slot's number, and how often it was used: events of a connection that is gone find none. */
export const TCP_TAGS = 2 ** 24;

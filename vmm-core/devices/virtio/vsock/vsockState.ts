/** What a vsock device is to every thread: an instance, its registers, and its connections among them. */
import { VirtioVsockConfig } from '../../../abi/virtioVsock.ts';
import { u32, u32s } from '../../../bus/stateBlock.ts';
import type { VsockConfig } from '../../../config/settings/vsock.ts';
import type { VirtioInstance } from '../virtioClass.ts';
import { virtioState } from '../virtioState.ts';

// §5.10.2.
export const RX_QUEUE = 0;
export const TX_QUEUE = 1;
export const EVENT_QUEUE = 2;
export const QUEUES = 3;

/** Of both sides together. More are refused. */
export const MAX_CONNECTIONS = 1024;

export interface VsockInstance extends VirtioInstance {
  readonly vmName: string;
  readonly vsock: VsockConfig;
}

const perConnection = u32s(MAX_CONNECTIONS);

/**
 * A row for each connection; the service alone writes them. Counts of bytes are modulo 2^32, as the protocol
 * has them (§5.10.6.3), and what has gone over that in another word.
 */
export const VSOCK_STATE = {
  ...virtioState(QUEUES, VirtioVsockConfig.size),
  packetsFromGuest: u32,
  packetsToGuest: u32,
  resetsToGuest: u32,
  malformed: u32, // packets that cannot be answered: no header, or not from the guest's address
  connectionState: perConnection, // STATE
  connectionFlags: perConnection, // FLAG
  guestPort: perConnection,
  hostPort: perConnection,
  bufAlloc: perConnection, // what the guest is told of our buffer
  receivedBytes: perConnection, // from the guest
  receivedHigh: perConnection,
  forwardedBytes: perConnection, // of those, what programs have taken: our fwd_cnt
  sentBytes: perConnection, // to the guest
  sentHigh: perConnection,
  peerBufAlloc: perConnection, // what the guest says of its buffer
  peerFwdCnt: perConnection,
};
export type VsockState = typeof VSOCK_STATE;

/** Of a connection. */
export const STATE = {
  free: 0,
  /** A program has connected and has yet to say to which port. */
  greeting: 1,
  /** The guest is, or will be, asked whether it accepts. */
  requested: 2,
  established: 3,
  /** The guest is done with it; a program has yet to take the last of what it sent. */
  draining: 4,
} as const;

/** Of a connection, or'd. */
export const FLAG = {
  // What there is to be done when it is its turn.
  owesRequest: 1 << 0,
  owesResponse: 1 << 1,
  owesShutdown: 1 << 2,
  owesCredit: 1 << 3,
  owesCreditRequest: 1 << 4,
  // The socket, as far as is known.
  canRead: 1 << 5,
  canWrite: 1 << 6,
  /** Its other end is closed. */
  hungUp: 1 << 7,
  // Who is done with what.
  /** The program sends no more, and all of it was read. */
  hostSentAll: 1 << 8,
  /** The program receives no more. */
  hostTakesNone: 1 << 9,
  guestSentAll: 1 << 10,
  guestTakesNone: 1 << 11,
  /** The program was told guestSentAll. */
  isToldEnd: 1 << 12,
  /** The guest was asked for credit, and has not answered. */
  isCreditAsked: 1 << 13,
  /** The host lacks memory: tried again by time. */
  triesAgain: 1 << 14,
} as const;

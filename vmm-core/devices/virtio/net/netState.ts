/** What a network interface is to every thread: an instance, and its registers. */
import { ETH_ALEN, VirtioNetConfig } from '../../../abi/virtioNet.ts';
import type { MAX_PAIRS as LINK_PAIRS } from '../../../backends/net/linkKind.ts';
import { bytes, u16, u32, u64, u8 } from '../../../bus/stateBlock.ts';
import type { NetworkConfig } from '../../../config/settings/networkOptions.ts';
import type { VirtioInstance } from '../virtioClass.ts';
import { virtioState } from '../virtioState.ts';

export interface NetInstance extends VirtioInstance {
  /** `net0`. */
  readonly name: string;
  /** From 0. */
  readonly index: number;
  readonly vmName: string;
  readonly network: NetworkConfig;
  /** Six bytes with colons. */
  readonly lladdr: string;
  /** Pairs of queues, receiveq and transmitq. */
  readonly pairs: number;
}

/** Addresses of each kind, unicast and multicast; of a longer table all frames of its kind pass. */
export const MAX_ADDRESSES = 64;
const VLANS = 4096;

/** As links have at most; of their code, vCPUs' threads load nothing (scripts/build.ts). */
const MAX_PAIRS: typeof LINK_PAIRS = 4;

/**
 * All but the MAC address of an old driver is written by the interface's service alone; `powerOn` by main
 * before that begins.
 */
export const NET_STATE = {
  ...virtioState(2 * MAX_PAIRS + 1, VirtioNetConfig.size),
  powerOn: bytes(VirtioNetConfig.size), // the configuration space after a reset
  // Frames of the guest, and frames for it.
  framesSent: u64,
  bytesSent: u64,
  framesReceived: u64,
  bytesReceived: u64,
  sentMalformed: u32,
  sentFiltered: u32,
  sentLinkDown: u32,
  sentHostBusy: u32,
  receivedNoRoom: u32,
  receivedMalformed: u32,
  receivedFiltered: u32,
  receivedLinkDown: u32,
  receivedHostBusy: u32,
  commands: u32, // on the control queue
  failedCommands: u32,
  // What the driver has set.
  pairs: u16, // in use
  guestOffloadsLow: u32, // VIRTIO_NET_F_GUEST_… that are on
  guestOffloadsHigh: u32,
  receiveModes: u8, // RECEIVE
  unicastAddresses: u8, // in the table
  multicastAddresses: u8,
  addressesCut: u8, // RECEIVE_CUT: tables that were too long
  addresses: bytes(2 * MAX_ADDRESSES * ETH_ALEN), // first those of unicast
  vlans: bytes(VLANS / 8), // a bit for each
};
export type NetState = typeof NET_STATE;

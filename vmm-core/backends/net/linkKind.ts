/**
 * What a kind of link is made of (`openLink.ts` has the table of kinds): main opens what it needs of the
 * host, the I/O thread attaches the link to what was opened. Modules are loaded when a machine has the kind.
 */
import type { ForwardConfig, NetworkConfig, NetworkKind } from '../../config/settings/networkOptions.ts';
import type { GuestPort, NetLink } from './netLink.ts';

/** What main knows when it opens a link. */
export interface LinkHost {
  /** Of the VM: what DHCP calls the guest, a switch its port. */
  readonly vmName: string;
  /** Of the interface, `net0`; the log tag. */
  readonly name: string;
  /** The interface's number in the machine, from 0. */
  readonly index: number;
  /** The guest's Ethernet address. */
  readonly mac: Uint8Array;
  readonly mtu: number;
  /** Pairs of queues that the device has. */
  readonly pairs: number;
  /** To the link (NetLink.onMessage), once it is attached; what is sent before waits. Plain data. */
  send(message: unknown): void;
  /** A sentence for the user: something of the host fails, and what that means for the guest. */
  trouble(sentence: string): void;
}

/** Main's side of a link. Open from `open` on. */
export interface LinkBackend {
  /** For `attach`, which owns and closes what is in it once it was asked for; plain data. */
  readonly opened: unknown;
  /** What the link told (GuestPort.tell). */
  onMessage?(message: unknown): void;
  /** For the user, as `vmm show` has it: `tap7`. Absent: the kind says all. */
  readonly wiredTo?: string;
  /** Absent: the kind has no forwards. Reject with UserError: the port is busy, there is no such forward. */
  addForward?(forward: ForwardConfig): Promise<void>;
  removeForward?(forward: ForwardConfig): Promise<void>;
  /** The VM ends, or was never made; `isAttached`: the link owns what is in `opened`. */
  close(isAttached: boolean): void;
}

/** What a kind exports from its two modules. Both are loaded before any of it is called. */
export interface LinkCode {
  /** Main. Throws UserError; then nothing is open. */
  readonly open: (config: NetworkConfig, host: LinkHost) => LinkBackend;
  /** On the I/O thread, once, before any other call. Does not throw. `opened`: LinkBackend.opened. */
  readonly attach: (opened: unknown, port: GuestPort) => NetLink;
}

/** What every thread knows of a kind without its code: what the device offers to the driver depends on it. */
export interface LinkTraits {
  /** Takes and gives frames with a checksum to be completed, and segments of up to 64 KiB (Offload). */
  readonly hasOffloads: boolean;
  /** UDP of several datagrams in one frame, too. */
  readonly hasUso: boolean;
}

/** Of queues that an interface has at most. */
export const MAX_PAIRS = 4;

export const LINK_TRAITS: Readonly<Record<NetworkKind, LinkTraits>> = {
  user: { hasOffloads: true, hasUso: false },
  tap: { hasOffloads: true, hasUso: true },
  local: { hasOffloads: true, hasUso: true },
  switch: { hasOffloads: true, hasUso: false },
  stream: { hasOffloads: false, hasUso: false },
  passt: { hasOffloads: false, hasUso: false },
};

/**
 * The seam between an interface of the guest and what it is wired to: frames go out by `NetLink.send`, and
 * come in through the `GuestPort` that the device lends (devices/virtio/net/). On the I/O thread. Nothing
 * here allocates per frame.
 */
import type { MessageIo } from '../../bus/messageIo.ts';
import type { Poller } from '../../bus/poller.ts';
import type { PairServer } from './pairServer.ts';

/** Of a frame without offloads: a header of zeros. Fields as struct virtio_net_hdr has them (§5.1.6). */
export interface Offload {
  /** VIRTIO_NET_HDR_F_…: NEEDS_CSUM, DATA_VALID. */
  flags: number;
  /** VIRTIO_NET_HDR_GSO_… */
  gsoType: number;
  /** Bytes of headers in each segment; a hint. */
  hdrLen: number;
  /** Bytes of payload in each segment. */
  gsoSize: number;
  csumStart: number;
  csumOffset: number;
}

/** A frame that the guest sends, from its Ethernet header on. Valid during `send` only. */
export interface GuestFrame {
  readonly lengthBytes: number;
  /**
   * A private copy of its first bytes, at least HEAD_BYTES of them where the frame has as many: headers are
   * read here only, so that the guest cannot change them once they are checked.
   */
  readonly head: Uint8Array;
  /** How many bytes of `head` are of this frame. */
  readonly headBytes: number;
  /** Of negotiated kinds, and inside the frame: a segment has a size and a checksum to be completed. */
  readonly offload: Readonly<Offload>;
  /** Copies from byte `from` of the frame on; fills all of `into`, which the frame must have. */
  copyTo(into: Uint8Array, from: number): void;
  /** Appends a part of the frame, where it is in guest memory, to a message. False: no room. */
  addTo(message: MessageIo, from: number, lengthBytes: number): boolean;
}

/** Ethernet, IPv6 with extension headers, TCP with all its options: nobody needs more. */
export const HEAD_BYTES = 256;
/** An Ethernet header and what an IP datagram can hold (§5.1.6.3: 65550 with VLAN tags and slack). */
export const MAX_FRAME_BYTES = 65550;

/** What of a link's work the guest's driver does, and may change its mind about (CTRL_GUEST_OFFLOADS). */
export interface GuestOffloads {
  /** Takes frames whose TCP or UDP checksum is not complete (NEEDS_CSUM) or was checked (DATA_VALID). */
  readonly csum: boolean;
  /** Takes TCP segments of up to 64 KiB. */
  readonly tso4: boolean;
  readonly tso6: boolean;
  readonly ecn: boolean;
  /** Takes UDP datagrams that are to be fragmented (GSO_UDP). */
  readonly ufo: boolean;
  /** Takes what is to be cut into several UDP datagrams (GSO_UDP_L4). */
  readonly uso4: boolean;
  readonly uso6: boolean;
}

/** What the device lends to its link. */
export interface GuestPort {
  /** Of the instance; the log tag. */
  readonly name: string;
  /** The guest's Ethernet address. */
  readonly mac: Uint8Array;
  /** Largest IP datagram, 68 to 65535. */
  readonly mtu: number;
  readonly pairs: number;
  readonly offloads: GuestOffloads;
  /** The user has pulled the cable: a frame for the guest is lost (`linkDown`), it does not wait. */
  readonly isCut: boolean;
  readonly poller: Poller;
  /** A message with rows for guest memory; its fields are free between two calls of the link. */
  readonly message: MessageIo;
  /**
   * Makes sure that a frame of so many bytes fits into buffers that the guest has offered; reserving again
   * makes more room for the same frame. False: it does not; `onRoom` follows when the guest has offered more.
   * While the link is down or the driver not ready: false.
   */
  reserve(lengthBytes: number, pair?: number): boolean;
  /**
   * For `reserve`: on which pair of queues the guest waits for a frame that begins so, from its Ethernet
   * header to the ports of TCP or UDP, or with what there is of them.
   */
  pairOf(head: Uint8Array): number;
  /** Into the reserved buffers, at a byte of the frame. */
  write(at: number, bytes: Uint8Array): void;
  /** Appends reserved guest memory, for a receive straight into it. False: the message has no room for it. */
  addTo(message: MessageIo, at: number, lengthBytes: number): boolean;
  /** The frame is there: `lengthBytes` of it, at most what was reserved. The rest stays the guest's. */
  commit(lengthBytes: number, offload: Readonly<Offload>): void;
  /** Counts a frame for the guest that cannot be had; within `send`, the guest's, but for `noRoom`. */
  drop(reason: DropReason): void;
  /** The wire is cut (false) or whole, as it is at the start: the guest is told. Cut: `reserve` fails. */
  setCarrier(isUp: boolean): void;
  /** Has `onTimer` called after that time, or earlier; of several the earliest counts. */
  arm(delayMs: number): void;
  /** A sentence for the user: something of the host fails, and what that means for the guest. */
  trouble(sentence: string): void;
  /** To whoever asked on main, or unasked: plain data, of the link's own kind (LinkBackend.onMessage). */
  tell(message: unknown): void;
}

/** `noRoom`: the guest has no buffers. `malformed`: no frame. `filtered`: the guest may not send it. */
export type DropReason = 'noRoom' | 'malformed' | 'filtered' | 'linkDown' | 'hostBusy';

/** The host's end of the wire. No call throws; what the host fails is told by `GuestPort.trouble`. */
export interface NetLink {
  /** When the host can serve queues itself. */
  readonly pairServer?: PairServer | undefined;
  /** A frame of the guest; it may be gone after the call. */
  send(frame: GuestFrame, pair: number): void;
  /** All frames of this go are sent: what was put off, as acknowledgements, is due. */
  onSent?(): void;
  /** The guest has buffers again, or the link is up, or the driver ready: frames that waited may come. */
  onRoom?(): void;
  /** `GuestPort.isCut` is true now: what waits is lost. Without it the link lets frames wait. */
  onCut?(): void;
  /** A descriptor of `poller` is ready: `events` are EPOLL… */
  onReady(tag: number, events: number): void;
  onTimer?(): void;
  /** The driver has changed `GuestPort.offloads`, by negotiation or at run time. */
  onOffloads?(): void;
  /** The VM is paused, or the driver resets the device: nothing of the guest until `resume`. */
  pause?(): void;
  /** Also when the driver is ready. */
  resume?(): void;
  /** From LinkBackend on main. */
  onMessage?(message: unknown): void;
  /** The driver has reset the device: what the link knows of the guest (its connections) ends. */
  reset(): void;
  /** For the inspector: tables, connections, counters; plain data. */
  report(): LinkReport;
  /** The VM ends. */
  close(): void;
}

export type LinkValue =
  string | number | boolean | readonly LinkValue[] | { readonly [name: string]: LinkValue };
/** Names are for people. */
export type LinkReport = Readonly<Record<string, LinkValue>>;

/**
 * What is known of one connection: the guest's TCP on one side, spoken by us as its peer, and a socket of the
 * host on the other. Plain state; tcpNat.ts and what it is made of change it. Names as RFC 9293 §3.3.1 has
 * them where it has some. Sequence numbers are signed 32-bit words: compare by `(a - b) | 0`.
 */
import { Rates } from '../../rates.ts';
import { type BlockPool, BlockQueue } from './blockPool.ts';
import type { Endpoint } from './tcpHost.ts';

/**
 * `connecting`: the guest has sent SYN, the host's socket is on its way. `synReceived`: it is there, the
 * guest was sent SYN and ACK. `synSent`: a connection of the host's for the guest, which was sent SYN.
 * `open`: data flows, up to the last FIN. `timeWait`: it is over, but the guest may send its last FIN again.
 * `broken`: the host's side is gone, and the guest is to be told so. `closed`: it is in no table any more.
 */
export type TcpState = 'connecting' | 'synReceived' | 'synSent' | 'open' | 'timeWait' | 'broken' | 'closed';

/** RFC 9293 §3.7.1: of a peer that does not say; and as little as one may say without being a nuisance. */
const DEFAULT_MSS = 536;
const MIN_MSS = 88;
export const NEVER_MS = Infinity;

export class TcpConnection {
  state: TcpState;
  readonly isIpv6: boolean;
  readonly guest: Endpoint;
  /** Whom the guest talks to. */
  readonly peer: Endpoint;
  guestMac: Uint8Array;
  /** -1: closed already. */
  fd: number;
  readonly openedMs: number;

  // Of ConnectionTable.
  slot = 0;
  tag = 0;
  bucket = 0;
  key = new Int32Array(0);

  // From the guest to the host.
  /** What the guest sends next (RCV.NXT), and up to where it may (its window's right edge). */
  rcvNxt = 0;
  rcvEdge = 0;
  /** How our windows are shifted; 0 where the guest scales none. */
  rcvShift = 0;
  /** The guest's SYN had these options, so ours has them, too. */
  hasScaleOption = false;
  hasSackOption = false;
  /** What the socket has not taken. */
  readonly toHost: BlockQueue;
  /** The socket takes no more until EPOLLOUT. */
  isHostFull = false;
  /** The guest has sent FIN, at the end of `toHost`; and the host's peer was told. */
  hasGuestFin = false;
  isHostShut = false;

  // From the host to the guest.
  /** The first byte that is not acknowledged (SND.UNA), and the next to send. */
  sndUna = 0;
  sndNxt = 0;
  /** In bytes (SND.WND), as told by the segment with these numbers (SND.WL1, SND.WL2). */
  sndWnd = 0;
  sndWl1 = 0;
  sndWl2 = 0;
  sndShift = 0;
  /** Most bytes of data in a segment. */
  mss = DEFAULT_MSS;
  /** Data from sndUna on. */
  readonly toGuest: BlockQueue;
  /** The socket has something for us, or has failed. */
  isReadable = false;
  /** The host has sent all; FIN follows `toGuest`. */
  hasHostFin = false;
  isFinSent = false;
  /** The host's peer has broken off: so will we, behind `toGuest`. */
  isReset = false;
  isFinAcked = false;
  /** Our FIN came before the guest's. */
  isFirstToEnd = false;

  // Repair, RFC 9293 §3.8.1 and RFC 6582.
  dupAcks = 0;
  isInRecovery = false;
  /** Up to where acknowledgements are partial ones. */
  recoverTo = 0;
  /** What the guest has beyond the gap begins here (RFC 2018); valid where hasSack. */
  sackLeft = 0;
  hasSack = false;
  /** The first segment that is not acknowledged goes out again. */
  wantsResend = false;
  /** How often it did so in vain. */
  retries = 0;

  /** The guest is owed an acknowledgement, which any segment carries. */
  needsAck = false;
  /** SYN, or SYN and ACK, is to be sent. */
  needsSyn = false;
  /** It is in the list of those that have something to do. */
  isQueued = false;

  // Timers, in milliseconds of TcpHost.now.
  resendMs = NEVER_MS;
  /** The host has failed for an instant, as without memory: it is asked again. */
  retryMs = NEVER_MS;
  /** When the guest was heard last. */
  heardMs: number;
  /** Keepalives that were not answered. */
  probes = 0;

  // For the inspector.
  fromGuestBytes = 0;
  fromHostBytes = 0;
  resent = 0;
  readonly rates: Rates;

  constructor(
    state: TcpState,
    guest: Endpoint,
    peer: Endpoint,
    guestMac: Uint8Array,
    fd: number,
    pool: BlockPool,
    nowMs: number,
  ) {
    this.state = state;
    this.isIpv6 = guest.address.length === 16;
    this.guest = guest;
    this.peer = peer;
    this.guestMac = guestMac;
    this.fd = fd;
    this.toHost = new BlockQueue(pool);
    this.toGuest = new BlockQueue(pool);
    this.openedMs = nowMs;
    this.heardMs = nowMs;
    this.rates = new Rates(nowMs);
  }

  /** Of the guest's SYN: what it can take, and `ourMss` is what goes into the link's MTU. */
  useOptions(mss: number, windowShift: number, ourShift: number, ourMss: number): void {
    this.mss = Math.min(ourMss, Math.max(MIN_MSS, mss === 0 ? DEFAULT_MSS : mss));
    this.sndShift = Math.max(0, windowShift);
    this.rcvShift = windowShift < 0 ? 0 : ourShift;
  }

  /** Behind the last byte of data that we have for the guest: where FIN is. */
  get sndEnd(): number {
    return (this.sndUna + this.toGuest.bytes) | 0;
  }

  /** Bytes of data, SYN and FIN that the guest was sent and has not acknowledged. */
  get inFlight(): number {
    return (this.sndNxt - this.sndUna) | 0;
  }

  /** How many bytes more the guest's window takes, behind all that we have. */
  get windowRoom(): number {
    return this.sndWnd - this.toGuest.bytes;
  }
}

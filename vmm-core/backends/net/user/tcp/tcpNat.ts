/**
 * TCP of the user network: each connection of the guest is spliced to a socket of the host. The guest talks
 * to us as to its peer; the host's kernel does the real network. So there is no stack here, only what one
 * needs at the end of a wire: RFC 9293, with windows scaled (RFC 7323) and the checks of RFC 5961. On the I/O
 * thread. The guest may send anything; what it can make us hold is bounded by MAX_CONNECTIONS and the pool.
 */
import { ETHER_SHOST, TCPHDR_CHECK, TH_ACK, TH_FIN, TH_RST, TH_SYN } from '../../../../abi/packets.ts';
import { EPOLLERR, EPOLLHUP, EPOLLOUT } from '../../../../abi/epoll.ts';
import { EINPROGRESS, EMFILE, ENFILE, ETIMEDOUT } from '../../../../kvm/errno.ts';
import type { GuestFrame, LinkReport } from '../../netLink.ts';
import { connectErrorOf } from '../hostErrors.ts';
import type { IpPacket } from '../packet/ipPacket.ts';
import { TcpSegment } from '../packet/tcpSegment.ts';
import { TransportChecksum } from '../packet/transportChecksum.ts';
import { BLOCK_BYTES, BlockPool } from './blockPool.ts';
import { ConnectionSet } from './connectionSet.ts';
import type { ConnectionTable } from './connectionTable.ts';
import { GuestStream } from './guestStream.ts';
import { HostStream } from './hostStream.ts';
import { SegmentWriter, WINDOW_SHIFT } from './segmentWriter.ts';
import { NEVER_MS, TcpConnection } from './tcpConnection.ts';
import { TcpCounters } from './tcpCounters.ts';
import type { Endpoint, TcpHost } from './tcpHost.ts';
import { connectionReports } from './tcpReport.ts';
import { TcpTimers } from './tcpTimers.ts';

export interface TcpNatOptions {
  /** Of 64 KiB, for all connections. */
  readonly poolBlocks?: number;
}

const POOL_BLOCKS = 1024;
/** Bytes to the guest in one turn: of a connection, and of all. */
const SHARE_BYTES = 0x4_0000;
const TURN_BYTES = 0x10_0000;

export class TcpNat {
  readonly counters = new TcpCounters();
  readonly #host: TcpHost;
  readonly #pool: BlockPool;
  readonly #set: ConnectionSet;
  readonly #table: ConnectionTable;
  readonly #writer: SegmentWriter;
  readonly #toHost: HostStream;
  readonly #toGuest: GuestStream;
  readonly #checksum = new TransportChecksum();
  readonly #segment = new TcpSegment();
  readonly #timers: TcpTimers;
  /** Those that have something to do; and the array for the next turn. */
  #queue: TcpConnection[] = [];
  #spare: TcpConnection[] = [];
  #isRunning = false;
  #isTroubleTold = false;

  constructor(host: TcpHost, { poolBlocks = POOL_BLOCKS }: TcpNatOptions = {}) {
    this.#host = host;
    this.#set = new ConnectionSet(host);
    this.#table = this.#set.table;
    this.#pool = new BlockPool(poolBlocks);
    this.#writer = new SegmentWriter(host, this.#pool);
    this.#toHost = new HostStream(host, this.#pool);
    this.#toGuest = new GuestStream(host, this.#pool, this.#writer);
    this.#timers = new TcpTimers(host, this.#toGuest, this.#writer, {
      enqueue: (it) => this.#enqueue(it),
      timeOut: (it) => this.#timeOut(it),
      expire: (it) => this.#set.close(it, false),
    });
  }

  get connections(): number {
    return this.#table.size;
  }

  /** Memory that is held for data, in blocks of 64 KiB. */
  get heldBlocks(): number {
    return this.#pool.usedBlocks;
  }

  /** A packet with IPPROTO_TCP that is no fragment. What is owed for it is sent at `onSent`. */
  onSegment(packet: IpPacket, frame: GuestFrame): void {
    const segment = this.#segment;
    if (!segment.read(packet)) {
      this.counters.malformed++;
      return;
    }
    if (!this.#checksum.holds(frame, packet, TCPHDR_CHECK)) {
      this.counters.badChecksum++;
      return;
    }
    const connection = this.#table.find(packet, segment);
    if (connection === undefined) return this.#onUnknown(packet, segment);
    connection.heardMs = this.#host.now();
    connection.probes = 0;
    switch (connection.state) {
      case 'connecting':
        return this.#onConnecting(connection, segment);
      case 'synSent':
        return this.#onSynSent(connection, segment);
      case 'timeWait':
        return this.#onTimeWait(connection, packet, segment);
      case 'synReceived':
      case 'open':
        return this.#onSynchronized(connection, segment, frame);
      case 'broken':
      case 'closed':
        return;
    }
  }

  /**
   * A connection of the host for the guest, which a forward's socket has accepted: `fd` is ours from now on.
   * `from` is whom the guest sees; another port is taken where that one is in use.
   */
  openToGuest(fd: number, from: Endpoint, to: Endpoint): void {
    const peer = this.#set.freePeer(from, to);
    if (peer === undefined || this.#set.isCrowded()) {
      this.counters.noRoom++;
      return this.#host.sockets.abort(fd);
    }
    const now = this.#host.now();
    const mac = this.#host.macOf(to.address);
    const connection = new TcpConnection('synSent', to, peer, mac, fd, this.#pool, now);
    connection.mss = this.#writer.mss(connection.isIpv6);
    connection.rcvShift = WINDOW_SHIFT;
    connection.rcvEdge = this.#toHost.window(WINDOW_SHIFT);
    this.#enter(connection);
    if (this.#watch(connection)) this.#serve(connection);
  }

  /** Of the Poller, with tags from `tagBase` on. */
  onReady(tag: number, events: number): void {
    const connection = this.#table.byTag(tag - this.#host.tagBase);
    if (connection === undefined || connection.fd < 0) return;
    if (connection.state === 'connecting') return this.#onConnected(connection, events);
    if ((events & ~EPOLLOUT) !== 0) connection.isReadable = true;
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) !== 0) connection.isHostFull = false;
    this.#enqueue(connection);
    this.#run();
  }

  onRoom(): void {
    this.#run();
  }

  onSent(): void {
    this.#run();
  }

  /** Whenever a timer of the network is due. Arms itself again; when that is, or Infinity. */
  onTimer(): number {
    this.#timers.run(this.#table);
    this.#run();
    if (this.#table.size === 0) this.#pool.trim();
    return this.#timers.armNext();
  }

  /** The driver has reset the device: the guest knows no connection any more. */
  reset(): void {
    this.#table.forEach((it) => this.#set.close(it, true));
    this.#queue.length = 0;
  }

  close(): void {
    this.reset();
  }

  report(): LinkReport {
    return {
      ...this.counters,
      connections: this.#table.size,
      halfOpen: this.#set.halfOpen,
      heldBytes: this.#pool.usedBlocks * BLOCK_BYTES,
      list: connectionReports(this.#table, this.#host.now()),
    };
  }

  // Segments, by state.

  /** RFC 9293 §3.10.7.1, and a SYN opens a connection. */
  #onUnknown(packet: IpPacket, segment: TcpSegment): void {
    const { flags } = segment;
    if ((flags & TH_RST) !== 0) return;
    if ((flags & (TH_SYN | TH_ACK)) === TH_SYN) this.#open(packet, segment);
    else this.#refuse(packet, segment);
  }

  #open(packet: IpPacket, segment: TcpSegment): void {
    const address = packet.destination();
    const to = this.#host.translate(address, segment.destinationPort);
    if (to === 'ignored') return;
    if (to === 'refused') {
      this.counters.refused++;
      return this.#refuse(packet, segment);
    }
    const { sockets } = this.#host;
    if (this.#set.isCrowded()) {
      this.counters.noRoom++; // it tries again
      return;
    }
    const fd = sockets.open(to.family);
    const guest = { address: packet.source(), port: segment.sourcePort };
    const peer = { address, port: segment.destinationPort };
    const mac = packet.head.slice(ETHER_SHOST, ETHER_SHOST + 6);
    const connection = new TcpConnection('connecting', guest, peer, mac, fd, this.#pool, this.#host.now());
    this.#learn(connection, segment);
    this.#enter(connection);
    const result = fd < 0 ? fd : sockets.connect(fd, to);
    if (result < 0 && result !== -EINPROGRESS) return this.#fail(connection, -result);
    if (this.#watch(connection) && result === 0) this.#establish(connection);
  }

  #tellTrouble(): void {
    if (this.#isTroubleTold) return;
    this.#isTroubleTold = true;
    this.#host.port.trouble(
      'the host gives no more sockets: new connections of the guest wait until others end (ulimit -n)',
    );
  }

  /** The guest's own SYN. */
  #learn(connection: TcpConnection, segment: TcpSegment): void {
    const { sequence, maxSegmentBytes, windowShift, isSackPermitted } = segment;
    connection.useOptions(maxSegmentBytes, windowShift, WINDOW_SHIFT, this.#writer.mss(connection.isIpv6));
    connection.hasSackOption = isSackPermitted;
    connection.hasScaleOption = windowShift >= 0;
    connection.rcvNxt = (sequence + 1) | 0;
    connection.rcvEdge = (connection.rcvNxt + this.#toHost.window(connection.rcvShift)) | 0;
    connection.sndWnd = segment.window; // RFC 7323 §2.2: that of a SYN is not shifted
    connection.sndWl1 = sequence;
    connection.sndWl2 = segment.acknowledgement;
  }

  /** Its SYN again, which is answered in time, or another from the same port; or it gives up. */
  #onConnecting(connection: TcpConnection, segment: TcpSegment): void {
    const { flags, sequence } = segment;
    if ((flags & TH_RST) !== 0) {
      if (sequence === connection.rcvNxt) this.#set.close(connection, true);
    } else if ((flags & (TH_SYN | TH_ACK)) === TH_SYN) this.#learn(connection, segment);
  }

  /** RFC 9293 §3.10.7.3. A SYN without ACK crosses ours, which the guest answers as well. */
  #onSynSent(connection: TcpConnection, segment: TcpSegment): void {
    const { flags, acknowledgement } = segment;
    const isAck = (flags & TH_ACK) !== 0;
    if (isAck && acknowledgement !== connection.sndNxt) {
      this.counters.unacceptable++;
      if ((flags & TH_RST) === 0)
        this.#writer.refuse(connection.guestMac, connection.guest, connection.peer, segment);
      return;
    }
    if ((flags & TH_RST) !== 0) {
      if (isAck) this.#drop(connection);
      return;
    }
    if (!isAck || (flags & TH_SYN) === 0) return;
    this.#learn(connection, segment);
    connection.sndUna = connection.sndNxt;
    connection.needsAck = true;
    this.#opened(connection);
  }

  /** The end of TIME-WAIT comes early: a SYN beyond what was received opens the next (RFC 9293 §3.10.7.4). */
  #onTimeWait(connection: TcpConnection, packet: IpPacket, segment: TcpSegment): void {
    const { flags, sequence } = segment;
    if ((flags & TH_RST) !== 0) return this.#set.close(connection, false);
    if ((flags & (TH_SYN | TH_ACK)) === TH_SYN && ((sequence - connection.rcvNxt) | 0) >= 0) {
      this.#set.close(connection, false);
      this.#table.find(packet, segment);
      return this.#open(packet, segment);
    }
    connection.needsAck = true;
    if ((flags & TH_FIN) !== 0) this.#timers.beginTimeWait(connection);
    this.#enqueue(connection);
  }

  /** RFC 9293 §3.10.7.4, in its order. */
  #onSynchronized(connection: TcpConnection, segment: TcpSegment, frame: GuestFrame): void {
    const { flags } = segment;
    const start = (segment.sequence - connection.rcvNxt) | 0;
    const window = (connection.rcvEdge - connection.rcvNxt) | 0;
    if ((flags & TH_RST) !== 0) return this.#onReset(connection, start, window);
    if ((flags & TH_SYN) !== 0) return this.#onSyn(connection, start);
    if ((flags & TH_ACK) === 0) return;
    const end = start + segment.dataBytes + ((flags & TH_FIN) !== 0 ? 1 : 0);
    // What is older than the last byte we have is acknowledged again: also a keepalive's one byte.
    if (end < 0 || start > window || (end === 0 && start < 0)) return this.#challenge(connection);
    if (connection.state === 'synReceived' && !this.#onHandshake(connection, segment)) return;
    if (!this.#toGuest.onAck(connection, segment)) return this.#challenge(connection);
    if (segment.dataBytes > 0 || (flags & TH_FIN) !== 0)
      this.#onData(connection, segment, frame, start, window);
    if (connection.state !== 'closed') this.#enqueue(connection);
  }

  /** RFC 5961 §3.2: only at the very next byte; elsewhere in the window the guest is asked. */
  #onReset(connection: TcpConnection, start: number, window: number): void {
    if (start === 0) this.#drop(connection);
    else if (start > 0 && start < window) this.#challenge(connection);
  }

  /** RFC 5961 §4.2; in SYN-RECEIVED it is its SYN again. */
  #onSyn(connection: TcpConnection, start: number): void {
    if (connection.state !== 'synReceived' || start !== -1) return this.#challenge(connection);
    connection.needsSyn = true;
    this.#enqueue(connection);
  }

  #challenge(connection: TcpConnection): void {
    this.counters.unacceptable++;
    if (connection.state === 'synReceived') connection.needsSyn = true;
    else connection.needsAck = true;
    this.#enqueue(connection);
  }

  /** Of our SYN. */
  #onHandshake(connection: TcpConnection, segment: TcpSegment): boolean {
    if (segment.acknowledgement !== connection.sndNxt) {
      this.counters.unacceptable++;
      this.#writer.refuse(connection.guestMac, connection.guest, connection.peer, segment);
      return false;
    }
    connection.sndUna = connection.sndNxt;
    this.#opened(connection);
    return true;
  }

  /** In order, within the window, and what of it is new. */
  #onData(
    connection: TcpConnection,
    { dataAt, dataBytes, flags }: TcpSegment,
    frame: GuestFrame,
    start: number,
    window: number,
  ): void {
    connection.needsAck = true; // also of what is out of order: a duplicate, RFC 5681 §3.2
    if (start > 0 || connection.hasGuestFin || connection.isReset) return;
    const fresh = Math.min(dataBytes + start, window);
    const taken = fresh > 0 ? this.#toHost.take(connection, frame, dataAt - start, fresh) : 0;
    if (taken < 0) return this.#onHostError(connection);
    connection.rcvNxt = (connection.rcvNxt + taken) | 0;
    connection.fromGuestBytes += taken;
    if ((flags & TH_FIN) === 0 || taken < dataBytes + start) return;
    connection.rcvNxt = (connection.rcvNxt + 1) | 0;
    connection.hasGuestFin = true;
    // Of a full window it is beyond: with one below zero no acknowledgement of the guest would be acceptable.
    if (((connection.rcvEdge - connection.rcvNxt) | 0) < 0) connection.rcvEdge = connection.rcvNxt;
  }

  // The host's socket.

  #onConnected(connection: TcpConnection, events: number): void {
    const error = this.#host.sockets.pendingError(connection.fd);
    if (error !== 0) return this.#fail(connection, Math.abs(error));
    if ((events & EPOLLOUT) === 0) return;
    if ((events & ~EPOLLOUT) !== 0) connection.isReadable = true;
    this.#establish(connection);
  }

  #establish(connection: TcpConnection): void {
    connection.state = 'synReceived';
    connection.needsSyn = true;
    this.#serve(connection);
  }

  #opened(connection: TcpConnection): void {
    this.#set.opened(connection);
    connection.needsSyn = false; // again: that one had no room
    connection.retries = 0;
    connection.resendMs = NEVER_MS;
    connection.isReadable = true; // perhaps: events that came before were of no use
    this.counters.opened++;
    this.#enqueue(connection);
  }

  /** The host has not reached the peer of a connection of the guest's. */
  #fail(connection: TcpConnection, errno: number): void {
    const error = connectErrorOf(errno);
    if (error === 'refused') {
      this.counters.refused++;
      return this.#break(connection, false);
    }
    const { guest, guestMac, peer, rcvNxt } = connection;
    this.#set.close(connection, false);
    if (error === undefined) return this.#leave(errno);
    this.counters.unreachable++;
    const lost = {
      mac: guestMac,
      source: guest.address,
      sourcePort: guest.port,
      destination: peer.address,
      destinationPort: peer.port,
    };
    this.#host.unreachable(lost, (rcvNxt - 1) | 0, error);
  }

  /** The guest tries again. */
  #leave(errno: number): void {
    if (errno === ETIMEDOUT) this.counters.timeouts++;
    else this.counters.noRoom++;
    if (errno === EMFILE || errno === ENFILE) this.#tellTrouble();
  }

  /** The socket takes no more. What it has for the guest still arrives; then the guest is told. */
  #onHostError(connection: TcpConnection): void {
    connection.isReset = true;
    connection.isReadable = true;
    connection.toHost.clear();
  }

  /** The host's side is gone, and the guest is told, once it has room. */
  #break(connection: TcpConnection, isAborted: boolean): void {
    this.#set.break(connection, isAborted);
    this.#serve(connection);
  }

  /** The guest has broken off. What it had sent up to its end still reaches the host's peer. */
  #drop(connection: TcpConnection): void {
    this.counters.resets++;
    this.#set.close(connection, !connection.isHostShut);
  }

  #enter(connection: TcpConnection): void {
    this.#set.enter(connection);
    connection.needsSyn = connection.state === 'synSent';
    this.#timers.follow(connection);
  }

  /** False: it is closed, the host has no room for it. */
  #watch(connection: TcpConnection): boolean {
    if (this.#set.watch(connection)) return true;
    this.counters.noRoom++;
    this.#set.close(connection, true);
    return false;
  }

  // Ends.

  /** It belongs to nothing. */
  #refuse(packet: IpPacket, segment: TcpSegment): void {
    const mac = packet.head.slice(ETHER_SHOST, ETHER_SHOST + 6);
    const guest = { address: packet.source(), port: segment.sourcePort };
    const peer = { address: packet.destination(), port: segment.destinationPort };
    this.#writer.refuse(mac, guest, peer, segment);
  }

  // Turns.

  #enqueue(connection: TcpConnection): void {
    if (connection.isQueued) return;
    connection.isQueued = true;
    this.#queue.push(connection);
  }

  #serve(connection: TcpConnection): void {
    this.#enqueue(connection);
    this.#run();
  }

  /** Each of those that wait, in turn, up to what one turn has time for; the rest comes in the next. */
  #run(): void {
    if (this.#isRunning || this.#queue.length === 0) return;
    this.#isRunning = true;
    const batch = this.#queue;
    this.#queue = this.#spare;
    this.#spare = batch;
    this.#writer.isStarved = false;
    let budget = TURN_BYTES;
    for (const connection of batch) {
      connection.isQueued = false;
      if (connection.state === 'closed') continue;
      if (this.#writer.isStarved || budget <= 0) this.#postpone(connection);
      else budget -= this.#move(connection);
    }
    batch.length = 0;
    this.#isRunning = false;
    if (this.#queue.length > 0 && !this.#writer.isStarved) this.#host.port.arm(0);
  }

  /** What goes to the host waits for nobody. */
  #postpone(connection: TcpConnection): void {
    if (connection.state === 'open') this.#drain(connection);
    this.#enqueue(connection);
  }

  #drain(connection: TcpConnection): void {
    if (this.#toHost.drain(connection) < 0) this.#onHostError(connection);
  }

  /** All that can be done for it. How many bytes went to the guest. */
  #move(connection: TcpConnection): number {
    let moved = 0;
    if (connection.state === 'broken') {
      if (this.#writer.reset(connection)) this.#set.close(connection, true);
      else this.#enqueue(connection);
      return 0;
    }
    if (connection.needsSyn) this.#sendSyn(connection);
    if (connection.state === 'open') {
      this.#drain(connection);
      if (this.#toHost.moveWindow(connection)) connection.needsAck = true;
      if (connection.wantsResend) this.#toGuest.resend(connection);
      moved = this.#toGuest.move(connection, SHARE_BYTES);
      if (this.#isOver(connection)) return moved;
    }
    if (connection.needsAck && isSynchronized(connection))
      this.#writer.data(connection, connection.sndNxt, TH_ACK, 0, 0);
    if (this.#writer.isStarved || (connection.state === 'open' && this.#toGuest.canMove(connection)))
      this.#enqueue(connection);
    this.#timers.follow(connection);
    return moved;
  }

  #sendSyn(connection: TcpConnection): void {
    const isActive = connection.state === 'synSent';
    if (isActive) connection.guestMac = this.#host.macOf(connection.guest.address);
    const hasScale = isActive || connection.hasScaleOption;
    const hasSack = isActive || connection.hasSackOption;
    connection.needsSyn = !this.#writer.syn(connection, !isActive, hasScale, hasSack);
  }

  /** Both sides have ended, or one has broken off. True: nothing is left to do. */
  #isOver(connection: TcpConnection): boolean {
    const isAllSent = connection.inFlight >= connection.toGuest.bytes;
    if (connection.isReset && isAllSent) {
      this.counters.resets++;
      this.#break(connection, false);
      return true;
    }
    if (!connection.isFinAcked || !connection.hasGuestFin || !connection.isHostShut) return false;
    if (connection.needsAck && !this.#writer.data(connection, connection.sndNxt, TH_ACK, 0, 0)) {
      this.#enqueue(connection);
      return true;
    }
    if (!connection.isFirstToEnd) {
      this.#set.close(connection, false);
      return true;
    }
    this.#set.closeSocket(connection, false);
    this.#timers.beginTimeWait(connection);
    return true;
  }

  #timeOut(connection: TcpConnection): void {
    this.counters.timeouts++;
    this.#break(connection, true);
  }
}

function isSynchronized({ state }: TcpConnection): boolean {
  return state === 'open' || state === 'timeWait';
}

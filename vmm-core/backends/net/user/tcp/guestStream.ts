/**
 * Data from the host's socket to the guest: read as far as the guest's window goes, kept until the guest has
 * acknowledged it, and sent again where it was lost. The wire loses nothing and does not reorder; only a
 * guest that is short of memory, or a network inside it, loses packets. So there is no congestion window:
 * RFC 9293 §3.8 with the recovery of RFC 6582, one segment for each gap.
 */
import { TH_FIN } from '../../../../abi/packets.ts';
import { EAGAIN } from '../../../../kvm/errno.ts';
import { isPassing, RETRY_MS } from '../hostErrors.ts';
import type { TcpSegment } from '../packet/tcpSegment.ts';
import type { BlockPool } from './blockPool.ts';
import { blockUnit, LAST, type SegmentWriter } from './segmentWriter.ts';
import { NEVER_MS, type TcpConnection } from './tcpConnection.ts';
import type { TcpHost } from './tcpHost.ts';

/** Of one connection, sent and not acknowledged: what a guest takes in one round trip. */
const KEPT_BYTES = 0x40_0000;
const RESEND_MS = 200;
const LONGEST_RESEND_MS = 60_000;
const DUP_ACKS = 3;
/** Retries in vain: the guest's buffers may never hold a long frame. */
export const SMALLER_AFTER = 1;

export class GuestStream {
  readonly #host: TcpHost;
  readonly #pool: BlockPool;
  readonly #writer: SegmentWriter;

  constructor(host: TcpHost, pool: BlockPool, writer: SegmentWriter) {
    this.#host = host;
    this.#pool = pool;
    this.#writer = writer;
  }

  /** Reads and sends, about `budget` bytes. How many it were; more may be waiting (`isWaiting`). */
  move(connection: TcpConnection, budget: number): number {
    let moved = 0;
    for (;;) {
      const bytes = this.#read(connection);
      moved += bytes;
      if (!this.#send(connection) || bytes === 0 || moved >= budget) return moved;
    }
  }

  /** There is something that `move` could do now. */
  canMove(connection: TcpConnection): boolean {
    return connection.isReadable && connection.retryMs === NEVER_MS && this.#readable(connection) > 0;
  }

  /** Something waits for the guest's window, and nothing in flight will have the guest tell of it. */
  isStuck(connection: TcpConnection): boolean {
    const { toGuest, isReadable, hasHostFin, isFinSent, inFlight } = connection;
    return inFlight === 0 && (isReadable || toGuest.bytes > 0 || (hasHostFin && !isFinSent));
  }

  /**
   * What a segment of an open connection acknowledges, and its window. False: it acknowledges what was never
   * sent (RFC 5961 §5.2).
   */
  onAck(connection: TcpConnection, segment: TcpSegment): boolean {
    const acked = (segment.acknowledgement - connection.sndUna) | 0;
    if (acked > connection.inFlight) return false;
    if (acked < 0) return true; // an old one
    const wasClosed = connection.sndWnd === 0;
    const hasMoved = this.#updateWindow(connection, segment);
    if (hasMoved && (connection.inFlight === 0 || wasClosed)) connection.retries = 0;
    if (hasMoved && wasClosed && connection.inFlight > acked) this.recover(connection); // it had no place
    this.#noteSack(connection, segment);
    if (acked > 0) this.#advance(connection, acked);
    else if (connection.inFlight > 0 && segment.dataBytes === 0 && (!hasMoved || connection.hasSack))
      this.#onDupAck(connection);
    return true;
  }

  /** Sets the timer of the first segment in flight, or of what waits for the window. */
  arm(connection: TcpConnection): void {
    const { state } = connection;
    if (state === 'connecting' || state === 'timeWait' || state === 'broken') return;
    const isNeeded = connection.inFlight > 0 || (state === 'open' && this.isStuck(connection));
    if (!isNeeded) connection.resendMs = NEVER_MS;
    else if (connection.resendMs === NEVER_MS)
      connection.resendMs =
        this.#host.now() + Math.min(LONGEST_RESEND_MS, RESEND_MS * 2 ** connection.retries);
  }

  /** The first segment that is not acknowledged, up to what the guest says it has. False: no room. */
  resend(connection: TcpConnection): boolean {
    const { toGuest, sndUna, inFlight, isFinSent } = connection;
    connection.wantsResend = false;
    if (inFlight === 0) return true;
    const sentData = inFlight - (isFinSent ? 1 : 0);
    const most = connection.retries > SMALLER_AFTER ? connection.mss : this.#writer.frameData(connection);
    let bytes = Math.min(sentData, most);
    if (connection.hasSack) bytes = Math.min(bytes, Math.max(1, (connection.sackLeft - sndUna) | 0));
    const offset = toGuest.find(0);
    bytes = Math.min(bytes, toGuest.run);
    const flags = isFinSent && bytes === toGuest.bytes ? TH_FIN : LAST;
    connection.resent++;
    if (this.#writer.data(connection, sndUna, flags, bytes === 0 ? 0 : offset, bytes)) return true;
    connection.wantsResend = true;
    return false;
  }

  /** Bytes that the guest's window has room for, and it is worth to read. */
  #readable(connection: TcpConnection): number {
    const { toGuest, sndWnd, mss } = connection;
    const room = Math.min(sndWnd, KEPT_BYTES) - toGuest.bytes;
    return room < mss && toGuest.bytes > 0 ? 0 : room; // RFC 9293 §3.8.6.2.1: no silly windows
  }

  /** Up to one frame's data. How many bytes. */
  #read(connection: TcpConnection): number {
    const { toGuest, fd } = connection;
    const { message } = this.#host.port;
    const unit = blockUnit(this.#writer.frameData(connection));
    let read = 0;
    while (connection.isReadable && read < unit) {
      const room = this.#readable(connection);
      if (room <= 0) return read;
      if (toGuest.room(unit) < Math.min(room, unit / 4) && !toGuest.grow() && toGuest.room(unit) === 0) {
        connection.retryMs = this.#host.now() + RETRY_MS;
        return read;
      }
      message.clear();
      message.addBuffer(this.#pool.buffer, toGuest.tailOffset, Math.min(room, toGuest.room(unit)));
      const result = message.receive(fd);
      toGuest.added(Math.max(0, result));
      if (result > 0) read += result;
      else this.#end(connection, -result);
    }
    connection.fromHostBytes += read;
    return read;
  }

  /** A read has brought nothing. */
  #end(connection: TcpConnection, errno: number): void {
    connection.isReadable = false;
    if (errno === 0) connection.hasHostFin = true;
    else if (isPassing(errno)) connection.retryMs = this.#host.now() + RETRY_MS;
    else if (errno !== EAGAIN) connection.isReset = true;
  }

  /** All that the window takes. False: the guest has no room. */
  #send(connection: TcpConnection): boolean {
    const { toGuest, mss, sndWnd } = connection;
    let most = this.#writer.frameData(connection);
    for (;;) {
      const { inFlight } = connection;
      const unsent = toGuest.bytes - inFlight;
      const room = sndWnd - inFlight;
      if (unsent <= 0 || room <= 0 || (room < Math.min(mss, unsent) && inFlight > 0)) break;
      const offset = toGuest.find(inFlight);
      const bytes = Math.min(unsent, room, most, toGuest.run);
      const isLast = bytes === unsent;
      const isEnd = isLast && connection.hasHostFin && !connection.isReset && bytes < room;
      const flags = isEnd ? LAST | TH_FIN : isLast ? LAST : 0;
      if (this.#writer.data(connection, connection.sndNxt, flags, offset, bytes))
        this.#sent(connection, bytes, isEnd);
      else if (inFlight > 0 || bytes <= mss) return false;
      else most = Math.max(1, Math.floor(bytes / 2 / mss)) * mss; // its buffers may never hold as much
    }
    const { inFlight, hasHostFin, isFinSent, isReset } = connection;
    const mayEnd = hasHostFin && !isFinSent && !isReset && inFlight === toGuest.bytes;
    if (!mayEnd || sndWnd <= inFlight) return true;
    if (!this.#writer.data(connection, connection.sndNxt, TH_FIN, 0, 0)) return false;
    this.#sent(connection, 0, true);
    return true;
  }

  #sent(connection: TcpConnection, bytes: number, isEnd: boolean): void {
    connection.sndNxt = (connection.sndNxt + bytes + (isEnd ? 1 : 0)) | 0;
    if (!isEnd) return;
    connection.isFinSent = true;
    connection.isFirstToEnd = !connection.hasGuestFin;
  }

  #advance(connection: TcpConnection, acked: number): void {
    const { toGuest } = connection;
    const data = Math.min(acked, toGuest.bytes);
    if (data > 0) toGuest.drop(data);
    connection.sndUna = (connection.sndUna + acked) | 0;
    if (acked > data) connection.isFinAcked = true;
    connection.dupAcks = 0;
    connection.retries = 0;
    connection.resendMs = NEVER_MS;
    if (!connection.isInRecovery) return;
    if (((connection.recoverTo - connection.sndUna) | 0) <= 0) connection.isInRecovery = false;
    else connection.wantsResend = true; // RFC 6582 §3.2: what follows was lost as well
  }

  #onDupAck(connection: TcpConnection): void {
    if (++connection.dupAcks !== DUP_ACKS || connection.isInRecovery) return;
    this.recover(connection);
  }

  /** Something of what is in flight was lost. */
  recover(connection: TcpConnection): void {
    connection.isInRecovery = true;
    connection.recoverTo = connection.sndNxt;
    connection.wantsResend = true;
  }

  /**
   * RFC 9293 §3.10.7.4, and wherever something new is acknowledged: else what was sent again late would move
   * the window's edge too far. True: it has changed.
   */
  #updateWindow(connection: TcpConnection, { sequence, acknowledgement, window }: TcpSegment): boolean {
    const isNewer = ((sequence - connection.sndWl1) | 0) > 0;
    const isSame = sequence === connection.sndWl1 && ((acknowledgement - connection.sndWl2) | 0) >= 0;
    if (!isNewer && !isSame && acknowledgement === connection.sndUna) return false;
    const before = connection.sndWnd;
    connection.sndWnd = window * 2 ** connection.sndShift;
    connection.sndWl1 = sequence;
    connection.sndWl2 = acknowledgement;
    return connection.sndWnd !== before;
  }

  /** Where the first gap ends, for the next resend. */
  #noteSack(connection: TcpConnection, { sackBlocks, sackEdges, acknowledgement }: TcpSegment): void {
    connection.hasSack = false;
    for (let i = 0; i < sackBlocks; i++) {
      const left = sackEdges[2 * i] ?? 0;
      const beyond = (left - acknowledgement) | 0;
      // RFC 2883: a block below is a duplicate's report.
      if (beyond <= 0 || beyond > connection.inFlight) continue;
      if (connection.hasSack && ((left - connection.sackLeft) | 0) >= 0) continue;
      connection.hasSack = true;
      connection.sackLeft = left;
    }
  }
}

/**
 * Data from the guest to the host's socket: straight from the guest's memory, as far as the socket takes it;
 * the rest waits here, and the guest's window does not move on until it is gone. So nothing that the guest
 * was allowed to send is ever refused, which it would only find out by its retransmission timer.
 */
import { EAGAIN } from '../../../../kvm/errno.ts';
import type { GuestFrame } from '../../netLink.ts';
import { isPassing, RETRY_MS } from '../hostErrors.ts';
import { BLOCK_BYTES, type BlockPool } from './blockPool.ts';
import { NEVER_MS, type TcpConnection } from './tcpConnection.ts';
import type { TcpHost } from './tcpHost.ts';

/** The guest may send so much before it hears of us. */
export const WINDOW_BYTES = 0x10_0000;
/** What is left of the window when memory runs short. */
const SHORT_WINDOW_BYTES = 0x1_0000;
/**
 * Less is copied, and sent with what else the guest sends at once: the kernel takes 20 times longer for a
 * call and the packet that it makes of it.
 */
const WORTH_A_CALL_BYTES = 0x2000;
const DRAIN_PIECES = 16;

export class HostStream {
  readonly #host: TcpHost;
  readonly #pool: BlockPool;

  constructor(host: TcpHost, pool: BlockPool) {
    this.#host = host;
    this.#pool = pool;
  }

  /**
   * In-order data at byte `at` of the frame. How many bytes of it are ours now, or -errno: it is over. What
   * is not sent at once is sent by `drain`, when the guest's burst is over.
   */
  take(connection: TcpConnection, frame: GuestFrame, at: number, bytes: number): number {
    const sent = this.#sendNow(connection, frame, at, bytes);
    if (sent < 0 || sent === bytes) return sent;
    return sent + this.#keep(connection, frame, at + sent, bytes - sent);
  }

  /** Sends what waits, and the end where that is all. 0, or -errno: it is over. */
  drain(connection: TcpConnection): number {
    if (connection.isReset) return 0;
    const { toHost, fd } = connection;
    const { message } = this.#host.port;
    while (toHost.bytes > 0 && !connection.isHostFull) {
      message.clear();
      for (let at = 0, pieces = 0; at < toHost.bytes && pieces < DRAIN_PIECES; pieces++) {
        const offset = toHost.find(at);
        if (!message.addBuffer(this.#pool.buffer, offset, toHost.run)) break;
        at += toHost.run;
      }
      const result = message.send(fd);
      if (result > 0) toHost.drop(result);
      else if (!this.#waits(connection, result)) return result;
    }
    if (connection.hasGuestFin && !connection.isHostShut && toHost.bytes === 0) {
      connection.isHostShut = true;
      if (!connection.isFinAcked) this.#host.sockets.shutdownWrite(fd); // else it is closed at once
    }
    return 0;
  }

  /** Moves the guest's window as far as it may go now. True: it went so far that the guest must be told. */
  moveWindow(connection: TcpConnection): boolean {
    if (connection.toHost.bytes > 0) return false;
    const window = this.window(connection.rcvShift);
    const moved = (connection.rcvNxt + window - connection.rcvEdge) | 0;
    if (moved <= 0) return false;
    connection.rcvEdge = (connection.rcvEdge + moved) | 0;
    return moved >= Math.min(2 * connection.mss, window / 2);
  }

  window(shift: number): number {
    const isShort = 4 * this.#pool.freeBlocks < this.#pool.blocks;
    const window = isShort ? SHORT_WINDOW_BYTES : WINDOW_BYTES;
    return Math.min(window, 0xffff * 2 ** shift);
  }

  #sendNow(connection: TcpConnection, frame: GuestFrame, at: number, bytes: number): number {
    if (bytes < WORTH_A_CALL_BYTES && this.#pool.freeBlocks > 0) return 0;
    const error = this.drain(connection);
    if (error < 0 || connection.isHostFull || connection.toHost.bytes > 0) return error;
    const { message } = this.#host.port;
    message.clear();
    if (!frame.addTo(message, at, bytes)) return 0; // in too many pieces
    const result = message.send(connection.fd);
    if (result >= 0) return result;
    return this.#waits(connection, result) ? 0 : result;
  }

  /** Of a send that took nothing. True: there will be another. */
  #waits(connection: TcpConnection, result: number): boolean {
    const isPassed = result === 0 || isPassing(-result);
    if (!isPassed && result !== -EAGAIN) return false;
    connection.isHostFull = true;
    if (isPassed) connection.retryMs = this.#host.now() + RETRY_MS;
    return true;
  }

  /** As much as there is memory for. */
  #keep({ toHost }: TcpConnection, frame: GuestFrame, from: number, bytes: number): number {
    let kept = 0;
    while (kept < bytes) {
      if (toHost.room(BLOCK_BYTES) === 0 && !toHost.grow()) break;
      const part = Math.min(bytes - kept, toHost.room(BLOCK_BYTES));
      const offset = toHost.tailOffset;
      frame.copyTo(this.#pool.buffer.bytes.subarray(offset, offset + part), from + kept);
      toHost.added(part);
      kept += part;
    }
    return kept;
  }
}

/** A retry is due: the socket is asked again. */
export function retry(connection: TcpConnection): void {
  connection.retryMs = NEVER_MS;
  connection.isHostFull = false;
  connection.isReadable = true;
}

/**
 * Time, for all connections: what was not acknowledged, what waits for a window, who is silent for hours. The
 * device is asked for one timer; when it comes, all are looked at, which takes microseconds.
 */
import { TH_ACK } from '../../../../abi/packets.ts';
import type { GuestPort } from '../../netLink.ts';
import type { ConnectionTable } from './connectionTable.ts';
import { type GuestStream, SMALLER_AFTER } from './guestStream.ts';
import { retry } from './hostStream.ts';
import type { SegmentWriter } from './segmentWriter.ts';
import { NEVER_MS, type TcpConnection } from './tcpConnection.ts';
import type { TcpHost } from './tcpHost.ts';

/** Short, because nothing is late on this wire; and whoever needs the room ends it. */
const TIME_WAIT_MS = 5000;
/** RFC 5382 §5: at least 2 hours and 4 minutes. Then the guest is asked whether it is still there. */
const IDLE_MS = 124 * 60_000;
const PROBE_MS = 75_000;
const MAX_PROBES = 9;
/** Of data: some minutes. */
const MAX_RETRIES = 12;
/** To probes of a window that is closed. */
const SILENCE_MS = 600_000;
/** Of SYN: the guest may be starting still. */
const MAX_SYN_RETRIES = 8;

/** What timers lead to. */
export interface TimerHost {
  enqueue(connection: TcpConnection): void;
  /** The guest does not answer any more. */
  timeOut(connection: TcpConnection): void;
  /** Its time of waiting is over. */
  expire(connection: TcpConnection): void;
}

export class TcpTimers {
  readonly #port: GuestPort;
  readonly #now: () => number;
  readonly #toGuest: GuestStream;
  readonly #writer: SegmentWriter;
  readonly #owner: TimerHost;
  #dueMs = NEVER_MS;

  constructor(host: TcpHost, toGuest: GuestStream, writer: SegmentWriter, owner: TimerHost) {
    this.#port = host.port;
    this.#now = () => host.now();
    this.#toGuest = toGuest;
    this.#writer = writer;
    this.#owner = owner;
  }

  /** When a connection is opened, and after each time that something was done for it. */
  follow(connection: TcpConnection): void {
    this.#toGuest.arm(connection);
    const due = Math.min(connection.resendMs, connection.retryMs, connection.heardMs + IDLE_MS);
    if (due >= this.#dueMs) return;
    this.#dueMs = due;
    this.#port.arm(Math.max(0, due - this.#now()));
  }

  /** It is over, and its last acknowledgement may be lost. */
  beginTimeWait(connection: TcpConnection): void {
    connection.state = 'timeWait';
    connection.resendMs = this.#now() + TIME_WAIT_MS;
    this.follow(connection);
  }

  /** Looks at all, where it is time. */
  run(table: ConnectionTable): void {
    const now = this.#now();
    if (now < this.#dueMs) return;
    this.#dueMs = NEVER_MS;
    table.forEach((it) => this.#look(it, now));
  }

  /** The device's timer has gone off: it is asked for the next. When that is. */
  armNext(): number {
    if (this.#dueMs !== NEVER_MS) this.#port.arm(Math.max(0, this.#dueMs - this.#now()));
    return this.#dueMs;
  }

  #look(connection: TcpConnection, now: number): void {
    if (now >= connection.retryMs) {
      retry(connection);
      this.#owner.enqueue(connection);
    }
    if (now >= connection.resendMs) this.#onResendTime(connection, now);
    if (connection.state === 'open') this.#lookIdle(connection, now);
    if (connection.state === 'closed') return;
    this.#dueMs = Math.min(this.#dueMs, connection.resendMs, connection.retryMs);
  }

  #onResendTime(connection: TcpConnection, now: number): void {
    connection.resendMs = NEVER_MS;
    if (connection.state === 'timeWait') return this.#owner.expire(connection);
    const isOpen = connection.state === 'open';
    // What was due before has not gone out: a VM that is paused, or has no buffers, is not a silent one.
    if (isOpen && connection.wantsResend && connection.retries > SMALLER_AFTER)
      return this.#owner.enqueue(connection);
    if (++connection.retries > (isOpen ? MAX_RETRIES : MAX_SYN_RETRIES)) {
      // RFC 9293 §3.8.6.1: a window may stay closed for as long as the guest says so; also one that it has
      // closed before what was on its way (§3.8.6), which goes again then in place of a probe.
      const isClosed = isOpen && (connection.inFlight === 0 || connection.sndWnd === 0);
      if (!isClosed || now - connection.heardMs > SILENCE_MS) return this.#owner.timeOut(connection);
      connection.retries = MAX_RETRIES;
    }
    if (!isOpen) connection.needsSyn = true;
    else if (connection.inFlight > 0) this.#toGuest.recover(connection);
    else if (this.#toGuest.isStuck(connection) && !this.#probe(connection)) connection.retries--;
    this.#owner.enqueue(connection);
  }

  #lookIdle(connection: TcpConnection, now: number): void {
    let due = connection.heardMs + IDLE_MS + connection.probes * PROBE_MS;
    if (now >= due) {
      if (connection.probes++ >= MAX_PROBES) return this.#owner.timeOut(connection);
      this.#probe(connection);
      due = now + PROBE_MS;
    }
    this.#dueMs = Math.min(this.#dueMs, due);
  }

  /** The byte before the next: the guest answers with what it expects, and its window. False: no room. */
  #probe(connection: TcpConnection): boolean {
    return this.#writer.data(connection, (connection.sndUna - 1) | 0, TH_ACK, 0, 0);
  }
}

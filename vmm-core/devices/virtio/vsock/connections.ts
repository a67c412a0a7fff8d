/**
 * The connections with what they hold of the host, whose turn it is to send to the guest, and how each ends:
 * what the two directions (guestPackets.ts, guestDelivery.ts) and the host's side (hostPrograms.ts) share.
 */
import { constants } from 'node:os';
import { VIRTIO_VSOCK_TYPE_STREAM, VMADDR_CID_HOST } from '../../../abi/virtioVsock.ts';
import { Backlogs, CHUNK_BYTES } from '../../../backends/vsock/backlogs.ts';
import type { HostSockets } from '../../../backends/vsock/hostSockets.ts';
import type { Registers } from '../../../bus/stateBlock.ts';
import { bufferBytes, ConnectionTable, NONE } from './connectionTable.ts';
import { Refusals } from './refusals.ts';
import { FLAG, MAX_CONNECTIONS, STATE, type VsockState } from './vsockState.ts';

export interface ConnectionsHost {
  readonly regs: Registers<VsockState>;
  readonly sockets: HostSockets;
  readonly nowMs: () => number;
  /** Has `onTimer` called after that time, or earlier. */
  arm(delayMs: number): void;
}

const { EAGAIN, ENOBUFS, ENOMEM } = constants.errno;
/** "OK 4294967295\n" beside what the guest may send. */
const ANSWER_BYTES = 16;
const OWED =
  FLAG.owesRequest | FLAG.owesResponse | FLAG.owesShutdown | FLAG.owesCredit | FLAG.owesCreditRequest;
/** How long the other side may take to answer a request, or to end what is over. */
export const ANSWER_MS = 2000;
/** A program that does nothing for so long has to make room, where there is none. */
const IDLE_MS = 10_000;
/** As long as the host lacks memory. */
const AGAIN_MS = 20;

export class Connections {
  readonly table: ConnectionTable;
  readonly sockets: HostSockets;
  readonly backlogs: Backlogs;
  readonly refusals = new Refusals();
  readonly #host: ConnectionsHost;
  /** Rows that have something for the guest: a ring, with each at most once. */
  readonly #turns = new Int32Array(MAX_CONNECTIONS);
  readonly #hasTurn = new Uint8Array(MAX_CONNECTIONS);
  #firstTurn = 0;
  #turnCount = 0;
  /** Bytes of the backlog that are no guest's: our answer to the program. */
  readonly #answerBytes = new Uint8Array(MAX_CONNECTIONS);
  /** Since when nothing has happened on a row that only waits for its program, by nowMs. */
  readonly #idleSinceMs = new Float64Array(MAX_CONNECTIONS);

  constructor(host: ConnectionsHost) {
    this.#host = host;
    this.table = new ConnectionTable(host.regs);
    this.sockets = host.sockets;
    let chunks = 0;
    for (let row = 0; row < MAX_CONNECTIONS; row++)
      chunks += Math.ceil((bufferBytes(row) + ANSWER_BYTES) / CHUNK_BYTES) + 1;
    this.backlogs = new Backlogs(MAX_CONNECTIONS, chunks);
  }

  // Beginnings.

  hasRoom(): boolean {
    return this.#findIdle() !== NONE || !this.table.isFull;
  }

  /** As the table's; where that is full, whoever has been idle for longest makes room. */
  open(state: number, fd: number): number {
    const idle = this.#findIdle();
    if (idle !== NONE) this.end(idle);
    const row = this.table.open(state, fd);
    if (row !== NONE) this.#noteProgress(row);
    return row;
  }

  /** Where there is no row left: of those that wait for their program alone. */
  #findIdle(): number {
    while (this.table.isFull) {
      const row = this.#idlest;
      if (row === NONE || !this.#reads(row)) return row;
    }
    return NONE;
  }

  /** A program has yet to say what it wants, or to read the rest. */
  get #idlest(): number {
    const { state } = this.table;
    let idlest = NONE;
    let sinceMs = this.#host.nowMs() - IDLE_MS;
    for (let row = 0; row < MAX_CONNECTIONS; row++) {
      if (state[row] !== STATE.greeting && state[row] !== STATE.draining) continue;
      const rowMs = this.#idleSinceMs[row] ?? 0;
      if (rowMs > sinceMs) continue;
      sinceMs = rowMs;
      idlest = row;
    }
    return idlest;
  }

  /** It has read a little, which is no edge yet: the kernel tells of much room only. */
  #reads(row: number): boolean {
    if (this.table.state[row] !== STATE.draining) return false;
    const sinceMs = this.#idleSinceMs[row];
    this.table.set(row, FLAG.canWrite);
    this.flush(row);
    return !this.table.isFull || this.#idleSinceMs[row] !== sinceMs;
  }

  #noteProgress(row: number): void {
    this.#idleSinceMs[row] = this.#host.nowMs();
  }

  // Whose turn it is.

  /** NONE: nobody's. */
  get turn(): number {
    return this.#turnCount === 0 ? NONE : (this.#turns[this.#firstTurn] ?? NONE);
  }

  wantTurn(row: number): void {
    if (this.#hasTurn[row] === 1) return;
    this.#hasTurn[row] = 1;
    this.#turns[(this.#firstTurn + this.#turnCount++) % MAX_CONNECTIONS] = row;
  }

  endTurn(row: number): void {
    this.#hasTurn[row] = 0;
    this.#firstTurn = (this.#firstTurn + 1) % MAX_CONNECTIONS;
    this.#turnCount--;
  }

  owe(row: number, flag: number): void {
    this.table.set(row, flag);
    this.wantTurn(row);
  }

  // From the guest to the program.

  /** Our answer to a program, before anything of the guest's. */
  answer(row: number, text: Uint8Array): void {
    if (!this.backlogs.append(row, text)) return this.reset(row);
    this.#answerBytes[row] = text.length;
    this.flush(row);
  }

  /** The program has taken so much, or nobody will. */
  forwarded(row: number, lengthBytes: number): void {
    this.table.addForwarded(row, lengthBytes);
    if (this.table.state[row] === STATE.established && this.table.isCreditDue(row))
      this.owe(row, FLAG.owesCredit);
  }

  /** Gives the program what waits for it, and then what the guest wants it to know. */
  flush(row: number): void {
    const { table, backlogs, sockets } = this;
    const { message } = sockets;
    while (backlogs.lengthBytes(row) > 0 && table.has(row, FLAG.canWrite)) {
      message.clear();
      backlogs.addTo(row, message);
      const result = message.send(table.fd[row] ?? NONE);
      if (result > 0) this.#consume(row, result);
      else this.sendFailed(row, -result);
    }
    if (backlogs.lengthBytes(row) > 0) return;
    if (table.state[row] === STATE.draining) return this.end(row);
    if (table.has(row, FLAG.guestSentAll) && !table.has(row, FLAG.isToldEnd)) {
      table.set(row, FLAG.isToldEnd);
      sockets.endSending(table.fd[row] ?? NONE);
    }
  }

  /** The kernel has not taken what the guest sent. */
  sendFailed(row: number, errno: number): void {
    if (errno === EAGAIN) this.table.clear(row, FLAG.canWrite);
    else if (errno === ENOBUFS || errno === ENOMEM) {
      this.table.clear(row, FLAG.canWrite);
      this.tryAgain(row);
    } else this.hostTakesNone(row);
  }

  /** The host has no memory for it; no edge will tell when there is. */
  tryAgain(row: number): void {
    this.table.set(row, FLAG.triesAgain);
    this.#host.arm(AGAIN_MS);
  }

  /** The program receives no more: what the guest has sent and will send goes nowhere. */
  hostTakesNone(row: number): void {
    const { table, backlogs } = this;
    const waiting = backlogs.lengthBytes(row);
    const ofGuest = waiting - (this.#answerBytes[row] ?? 0);
    backlogs.consume(row, waiting);
    this.#answerBytes[row] = 0;
    table.clear(row, FLAG.canWrite);
    if (table.state[row] === STATE.draining || table.has(row, FLAG.hostTakesNone)) return;
    table.set(row, FLAG.hostTakesNone);
    this.forwarded(row, ofGuest);
    this.owe(row, FLAG.owesShutdown);
  }

  #consume(row: number, lengthBytes: number): void {
    this.backlogs.consume(row, lengthBytes);
    if (this.table.state[row] === STATE.draining) this.#noteProgress(row);
    const ofAnswer = Math.min(lengthBytes, this.#answerBytes[row] ?? 0);
    this.#answerBytes[row] = (this.#answerBytes[row] ?? 0) - ofAnswer;
    this.forwarded(row, lengthBytes - ofAnswer);
  }

  // Time.

  /** Those that are late are over. `proceed` is called for those that the host had no memory for. */
  onTimer(proceed: (row: number) => void): void {
    const { table } = this;
    const nowMs = this.#host.nowMs();
    let nextMs = Infinity;
    for (let row = 0; row < MAX_CONNECTIONS; row++) {
      if (table.state[row] === STATE.free) continue;
      if ((table.deadlineMs[row] ?? Infinity) <= nowMs) {
        if (table.has(row, FLAG.owesRequest))
          this.release(row); // the guest has not heard of it
        else this.reset(row);
        continue;
      }
      nextMs = Math.min(nextMs, table.deadlineMs[row] ?? Infinity);
      if (!table.has(row, FLAG.triesAgain)) continue;
      table.clear(row, FLAG.triesAgain);
      table.set(row, FLAG.canRead | FLAG.canWrite);
      proceed(row);
    }
    if (nextMs < Infinity) this.#host.arm(nextMs - nowMs);
  }

  // Ends.

  /** Within `ms`, or it is reset. */
  limit(row: number, ms: number): void {
    this.table.deadlineMs[row] = this.#host.nowMs() + ms;
    this.#host.arm(ms);
  }

  /** The guest is told that it is over. */
  reset(row: number): void {
    const { table, refusals } = this;
    const hostPort = table.hostPort[row] ?? 0;
    refusals.add(VIRTIO_VSOCK_TYPE_STREAM, VMADDR_CID_HOST, 0, hostPort, table.guestPort[row] ?? 0);
    this.release(row);
  }

  /** The guest knows it no more. What it has sent still goes to the program. */
  release(row: number): void {
    const { table } = this;
    table.dropPorts(row);
    table.deadlineMs[row] = Infinity;
    if (table.state[row] !== STATE.established || this.backlogs.lengthBytes(row) === 0) return this.end(row);
    table.state[row] = STATE.draining;
    this.#noteProgress(row);
    table.clear(row, OWED);
    this.sockets.endReceiving(table.fd[row] ?? NONE);
    this.flush(row);
  }

  /** Nobody knows it any more, and `find` does not find it. */
  end(row: number): void {
    this.backlogs.consume(row, this.backlogs.lengthBytes(row));
    this.#answerBytes[row] = 0;
    this.sockets.close(this.table.fd[row] ?? NONE);
    this.table.close(row);
  }
}

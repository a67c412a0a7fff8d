/**
 * Packets to the guest, into buffers that its driver has offered: resets first, then connections in turn,
 * each with what it owes and a bounded amount of data. Data goes from the socket to guest memory.
 */
import { constants } from 'node:os';
import {
  VIRTIO_VSOCK_OP_CREDIT_REQUEST,
  VIRTIO_VSOCK_OP_CREDIT_UPDATE,
  VIRTIO_VSOCK_OP_REQUEST,
  VIRTIO_VSOCK_OP_RESPONSE,
  VIRTIO_VSOCK_OP_RST,
  VIRTIO_VSOCK_OP_RW,
  VIRTIO_VSOCK_OP_SHUTDOWN,
  VIRTIO_VSOCK_SHUTDOWN_RCV,
  VIRTIO_VSOCK_SHUTDOWN_SEND,
  VIRTIO_VSOCK_TYPE_STREAM,
  VMADDR_CID_HOST,
} from '../../../abi/virtioVsock.ts';
import { ANSWER_MS, type Connections } from './connections.ts';
import { type ConnectionTable, NONE } from './connectionTable.ts';
import { PacketHeader } from './packetHeader.ts';
import type { RxBuffers } from './rxBuffers.ts';
import { FLAG, STATE } from './vsockState.ts';

/** Of one connection, before the next has its turn. */
const TURN_BYTES = 256 * 1024;
/** Of all, before others on the thread have theirs. */
const BATCH_TURNS = 32;
const BATCH_BYTES = 1 << 20;

const { EAGAIN, ENOBUFS, ENOMEM } = constants.errno;

/** In the order in which they are sent; data goes before the first of LATER. */
const FIRST = [
  { owes: FLAG.owesRequest, op: VIRTIO_VSOCK_OP_REQUEST },
  { owes: FLAG.owesResponse, op: VIRTIO_VSOCK_OP_RESPONSE },
] as const;
const LATER = [
  { owes: FLAG.owesShutdown, op: VIRTIO_VSOCK_OP_SHUTDOWN },
  { owes: FLAG.owesCreditRequest, op: VIRTIO_VSOCK_OP_CREDIT_REQUEST },
  { owes: FLAG.owesCredit, op: VIRTIO_VSOCK_OP_CREDIT_UPDATE },
] as const;

export class GuestDelivery {
  readonly #connections: Connections;
  readonly #table: ConnectionTable;
  readonly #buffers: RxBuffers;
  /** The guest's address. */
  readonly #cid: number;
  readonly #header = new PacketHeader();
  /** Of this go. */
  #bytes = 0;

  constructor(connections: Connections, buffers: RxBuffers, cid: number) {
    this.#connections = connections;
    this.#table = connections.table;
    this.#buffers = buffers;
    this.#cid = cid;
  }

  /** True: there is more, and the guest has buffers for it. */
  deliver(): boolean {
    this.#bytes = 0;
    const { refusals } = this.#connections;
    for (let turns = 0; turns < BATCH_TURNS && this.#bytes < BATCH_BYTES; turns++) {
      if (!refusals.isEmpty) {
        if (!this.#buffers.has(0)) return false;
        this.#refuse();
        continue;
      }
      const row = this.#connections.turn;
      if (row === NONE || !this.#serve(row)) return false;
      this.#connections.endTurn(row);
      if (this.#hasMore(row)) this.#connections.wantTurn(row);
    }
    return true;
  }

  #refuse(): void {
    const { refusals } = this.#connections;
    const header = this.#header;
    header.type = refusals.type;
    header.srcCid = refusals.cid;
    header.srcCidHigh = refusals.cidHigh;
    header.srcPort = refusals.hostPort;
    header.dstPort = refusals.guestPort;
    header.bufAlloc = 0;
    header.fwdCnt = 0;
    header.flags = 0;
    header.len = 0;
    refusals.drop();
    this.#table.regs.resetsToGuest++;
    this.#put(VIRTIO_VSOCK_OP_RST);
  }

  /** False: the guest has no more buffers, and it stays this one's turn. */
  #serve(row: number): boolean {
    for (const { owes, op } of FIRST) if (!this.#pay(row, owes, op)) return false;
    if (this.#canReceive(row) && !this.#receive(row)) return false;
    for (const { owes, op } of LATER) if (!this.#pay(row, owes, op)) return false;
    return true;
  }

  #hasMore(row: number): boolean {
    return (
      this.#canReceive(row) && (this.#table.credit(row) > 0 || !this.#table.has(row, FLAG.isCreditAsked))
    );
  }

  #canReceive(row: number): boolean {
    const isOpen = this.#table.state[row] === STATE.established && this.#table.has(row, FLAG.canRead);
    return isOpen && !this.#table.has(row, FLAG.hostSentAll | FLAG.guestTakesNone);
  }

  /** False: there is no buffer. */
  #pay(row: number, owes: number, op: number): boolean {
    if (!this.#table.has(row, owes)) return true;
    if (!this.#buffers.has(0)) return false;
    this.#table.clear(row, owes);
    this.#fill(row, 0);
    if (op === VIRTIO_VSOCK_OP_SHUTDOWN) this.#header.flags = this.#shutdownFlags(row);
    this.#put(op);
    if (op === VIRTIO_VSOCK_OP_REQUEST) this.#connections.limit(row, ANSWER_MS);
    return true;
  }

  /** When both sides of it are over, the guest ends it by a reset, or we do. */
  #shutdownFlags(row: number): number {
    const sent = this.#table.has(row, FLAG.hostSentAll) ? VIRTIO_VSOCK_SHUTDOWN_SEND : 0;
    const taken = this.#table.has(row, FLAG.hostTakesNone) ? VIRTIO_VSOCK_SHUTDOWN_RCV : 0;
    if (sent !== 0 && taken !== 0) this.#connections.limit(row, ANSWER_MS);
    return sent | taken;
  }

  /** False: there is no buffer. */
  #receive(row: number): boolean {
    const table = this.#table;
    const credit = Math.min(table.credit(row), TURN_BYTES);
    if (credit === 0) {
      if (!table.has(row, FLAG.isCreditAsked)) table.set(row, FLAG.isCreditAsked | FLAG.owesCreditRequest);
      return true;
    }
    const { message } = this.#connections.sockets;
    message.clear();
    let room = 0;
    for (let place = 0; room < credit && this.#buffers.has(place); place++) {
      const wanted = Math.min(this.#buffers.roomBytes(place), credit - room);
      const added = this.#buffers.addTo(message, place, wanted);
      room += added;
      if (added < wanted) break;
    }
    if (room === 0) return false;
    const result = message.receive(table.fd[row] ?? NONE);
    if (result > 0) this.#putData(row, result);
    else if (result === 0) this.#hostSentAll(row);
    else this.#receiveFailed(row, -result);
    return true;
  }

  /** It is in the buffers' room for data already, from the first on. */
  #putData(row: number, lengthBytes: number): void {
    this.#bytes += lengthBytes;
    for (let left = lengthBytes; left > 0;) {
      const length = Math.min(left, this.#buffers.roomBytes(0));
      this.#fill(row, length);
      this.#table.addSent(row, length);
      this.#put(VIRTIO_VSOCK_OP_RW);
      left -= length;
    }
  }

  #receiveFailed(row: number, errno: number): void {
    this.#table.clear(row, FLAG.canRead);
    if (errno === EAGAIN) return;
    if (errno === ENOBUFS || errno === ENOMEM) return this.#connections.tryAgain(row);
    this.#table.set(row, FLAG.hungUp); // ECONNRESET: the program has ended without reading all
    this.#hostSentAll(row);
  }

  #hostSentAll(row: number): void {
    this.#table.set(row, FLAG.hostSentAll | FLAG.owesShutdown);
    if (this.#table.has(row, FLAG.hungUp)) this.#connections.hostTakesNone(row);
  }

  /** All but what the operation is. */
  #fill(row: number, lengthBytes: number): void {
    const { regs, toldForwarded, hostPort, guestPort } = this.#table;
    const header = this.#header;
    const forwarded = regs.forwardedBytes[row] ?? 0;
    header.type = VIRTIO_VSOCK_TYPE_STREAM;
    header.srcCid = VMADDR_CID_HOST;
    header.srcCidHigh = 0;
    header.srcPort = hostPort[row] ?? 0;
    header.dstPort = guestPort[row] ?? 0;
    header.len = lengthBytes;
    header.flags = 0;
    header.bufAlloc = regs.bufAlloc[row] ?? 0;
    header.fwdCnt = forwarded;
    toldForwarded[row] = forwarded;
  }

  #put(op: number): void {
    const header = this.#header;
    header.op = op;
    header.dstCid = this.#cid;
    this.#table.regs.packetsToGuest++;
    this.#buffers.put(header);
  }
}

/**
 * Packets from the guest (virtio 1.2 §5.10.6): each is copied and checked once, and then is a request for a
 * connection, data for a program, or news of one side's buffer. What does not fit is answered by a reset, and
 * a reset by nothing.
 */
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
import type { GuestMemory } from '../../../memory/guestMemory.ts';
import { DescriptorChain } from '../descriptorChain.ts';
import type { VirtQueue } from '../queue.ts';
import type { Connections } from './connections.ts';
import { type ConnectionTable, NONE } from './connectionTable.ts';
import type { HostPrograms } from './hostPrograms.ts';
import { HEADER_BYTES, PacketHeader } from './packetHeader.ts';
import { addPieces, eachPiece } from './packetPieces.ts';
import { FLAG, STATE } from './vsockState.ts';

export interface GuestPacketsHost {
  readonly queue: VirtQueue;
  readonly memory: GuestMemory;
  /** The guest's address. */
  readonly cid: number;
  readonly connections: Connections;
  readonly programs: HostPrograms;
}

/** Taken at a time, before others have their turn. */
const BATCH_PACKETS = 64;
const BATCH_BYTES = 1 << 20;
/** As Linux's VIRTIO_VSOCK_MAX_PKT_BUF_SIZE. */
const MAX_PACKET_BYTES = 64 * 1024;

export class GuestPackets {
  readonly #host: GuestPacketsHost;
  readonly #connections: Connections;
  readonly #table: ConnectionTable;
  readonly #chain = new DescriptorChain();
  readonly #header = new PacketHeader();
  /** Of the packet that is copied to a backlog. */
  #row = NONE;
  /** All of it, so far. */
  #isKept = true;
  readonly #append = (piece: Uint8Array): void => {
    this.#isKept &&= this.#connections.backlogs.append(this.#row, piece);
  };
  /** There may be packets, but the guest must receive first. */
  isHeld = false;
  /** Something was returned since the driver was last considered for an interrupt. */
  isUsed = false;

  constructor(host: GuestPacketsHost) {
    this.#host = host;
    this.#connections = host.connections;
    this.#table = host.connections.table;
  }

  /** True: there may be more. */
  take(): boolean {
    const { queue } = this.#host;
    this.isHeld = false;
    for (let packets = 0, bytes = 0; packets < BATCH_PACKETS && bytes < BATCH_BYTES; packets++) {
      // §5.10.6.1.2: answers wait outside the queue, but not without a bound
      this.isHeld = this.#connections.refusals.isMuch;
      if (this.isHeld || !queue.pop(this.#chain)) return false;
      this.#accept();
      bytes += this.#chain.readableBytes;
      queue.push(this.#chain.head, 0);
      this.isUsed = true;
    }
    return true;
  }

  #accept(): void {
    const { regs } = this.#table;
    const header = this.#header;
    const isPacket = header.read(this.#chain, this.#host.memory);
    if (!isPacket || header.srcCid !== this.#host.cid || header.srcCidHigh !== 0) {
      regs.malformed++;
      return;
    }
    regs.packetsFromGuest++;
    const isForHost = header.dstCid === VMADDR_CID_HOST && header.dstCidHigh === 0;
    if (!isForHost || header.type !== VIRTIO_VSOCK_TYPE_STREAM) return this.#refuse();
    const row = this.#table.find(header.dstPort, header.srcPort);
    if (row !== NONE) return this.#acceptOf(row);
    if (header.op === VIRTIO_VSOCK_OP_REQUEST) this.#connect();
    else this.#refuse();
  }

  #acceptOf(row: number): void {
    this.#takeCredit(row);
    const isEstablished = this.#table.state[row] === STATE.established;
    switch (this.#header.op) {
      case VIRTIO_VSOCK_OP_RST:
        return this.#connections.release(row);
      case VIRTIO_VSOCK_OP_RESPONSE:
        if (isEstablished) break;
        return this.#host.programs.established(row);
      case VIRTIO_VSOCK_OP_RW:
        if (!isEstablished) break;
        return this.#acceptData(row);
      case VIRTIO_VSOCK_OP_SHUTDOWN:
        if (!isEstablished) break;
        return this.#shutDown(row);
      case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
        if (!isEstablished) break;
        return;
      case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
        if (!isEstablished) break;
        return this.#connections.owe(row, FLAG.owesCredit);
    }
    this.#connections.reset(row); // an unknown operation, or one out of order
  }

  /** §5.10.6.3: every packet has it. */
  #takeCredit(row: number): void {
    const { regs } = this.#table;
    regs.peerBufAlloc[row] = this.#header.bufAlloc;
    regs.peerFwdCnt[row] = this.#header.fwdCnt;
    if (this.#table.credit(row) === 0) return; // and it is not asked again: it says when it has some
    this.#table.clear(row, FLAG.isCreditAsked);
    if (this.#table.has(row, FLAG.canRead)) this.#connections.wantTurn(row);
  }

  #connect(): void {
    const { srcPort, dstPort } = this.#header;
    const row = this.#host.programs.connect(dstPort, srcPort);
    if (row === NONE) return this.#refuse();
    this.#takeCredit(row);
    this.#connections.owe(row, FLAG.owesResponse);
  }

  /** For want of a connection. */
  #refuse(): void {
    const { op, type, dstCid, dstCidHigh, dstPort, srcPort } = this.#header;
    if (op !== VIRTIO_VSOCK_OP_RST)
      this.#connections.refusals.add(type, dstCid, dstCidHigh, dstPort, srcPort);
  }

  #acceptData(row: number): void {
    const { len } = this.#header;
    const table = this.#table;
    const roomBytes = (table.regs.bufAlloc[row] ?? 0) - table.usedBytes(row);
    const isThere = len <= MAX_PACKET_BYTES && len <= this.#chain.readableBytes - HEADER_BYTES;
    if (!isThere || len > roomBytes || table.has(row, FLAG.guestSentAll)) return this.#connections.reset(row);
    table.addReceived(row, len);
    if (table.has(row, FLAG.hostTakesNone)) return this.#connections.forwarded(row, len);
    const isNext = this.#connections.backlogs.lengthBytes(row) === 0 && table.has(row, FLAG.canWrite);
    const sent = isNext && len > 0 ? this.#sendNow(row, len) : 0;
    if (sent > 0) this.#connections.forwarded(row, sent);
    if (sent === len) return;
    if (table.has(row, FLAG.hostTakesNone)) return this.#connections.forwarded(row, len - sent);
    this.#row = row;
    this.#isKept = true;
    eachPiece(this.#chain, this.#host.memory, sent, len - sent, this.#append);
    if (!this.#isKept) return this.#connections.reset(row); // the host has no memory for it
    this.#connections.flush(row); // until the kernel says that it is full: an edge follows only then
  }

  /** From guest memory to the socket. Returns how many bytes it has taken. */
  #sendNow(row: number, lengthBytes: number): number {
    const { message } = this.#connections.sockets;
    message.clear();
    if (addPieces(this.#chain, 0, 0, lengthBytes, message) === 0) return 0;
    const result = message.send(this.#table.fd[row] ?? NONE);
    if (result >= 0) return result;
    this.#connections.sendFailed(row, -result);
    return 0;
  }

  /** §5.10.6.5: flags are for good, and a packet may have none. */
  #shutDown(row: number): void {
    const { flags } = this.#header;
    const table = this.#table;
    if ((flags & VIRTIO_VSOCK_SHUTDOWN_SEND) !== 0) table.set(row, FLAG.guestSentAll);
    if ((flags & VIRTIO_VSOCK_SHUTDOWN_RCV) !== 0 && !table.has(row, FLAG.guestTakesNone)) {
      table.set(row, FLAG.guestTakesNone);
      this.#connections.sockets.endReceiving(table.fd[row] ?? NONE);
    }
    const isOver = table.has(row, FLAG.guestSentAll) && table.has(row, FLAG.guestTakesNone);
    if (isOver) this.#connections.reset(row);
    else this.#host.programs.proceed(row);
  }
}

/**
 * Buffers that the driver has offered for frames (virtio 1.2 §5.1.6.3): a stock of chains that were popped
 * and hold nothing yet. A frame takes from its beginning; what it does not need stays for the next. One per
 * receiveq, on the thread that serves the interface.
 */
import { VirtioNetHdrV1 } from '../../../abi/virtioNetHdr.ts';
import type { Offload } from '../../../backends/net/netLink.ts';
import { writeOffload } from '../../../backends/net/offloadHeader.ts';
import type { MessageIo } from '../../../bus/messageIo.ts';
import { DescriptorChain, MAX_QUEUE_SIZE } from '../descriptorChain.ts';
import type { VirtQueue } from '../queue.ts';
import type { RamCopy } from '../ramCopy.ts';
import { Pieces } from './pieces.ts';

/** Descriptors in stock. The largest frame in buffers of 300 bytes needs as many as the queue has. */
const MAX_PIECES = 4 * MAX_QUEUE_SIZE;

/** What `reserve` says. */
export const ROOM = {
  /** The frame fits. */
  yes: 0,
  /** The driver has offered too little; its next kick tells of more. */
  notYet: 1,
  /** The driver has offered a buffer in which it never fits, or all that its queue holds. */
  never: 2,
} as const;
export type Room = (typeof ROOM)[keyof typeof ROOM];

export class RxBuffers {
  readonly queue: VirtQueue;
  /** Frames were committed, of which the driver was not told yet. */
  isUntold = false;
  readonly #fail: (rule: string) => void;
  readonly #gpa = new Float64Array(MAX_PIECES);
  readonly #length = new Uint32Array(MAX_PIECES);
  readonly #pieces: Pieces;
  // The stock: chains [#firstChain, #endChain), their pieces [#firstPiece, #endPiece).
  readonly #heads = new Uint16Array(MAX_QUEUE_SIZE);
  readonly #chainBytes = new Float64Array(MAX_QUEUE_SIZE);
  readonly #chainPieces = new Uint16Array(MAX_QUEUE_SIZE);
  #firstChain = 0;
  #endChain = 0;
  #firstPiece = 0;
  #endPiece = 0;
  #stockBytes = 0;
  readonly #chain = new DescriptorChain();
  readonly #header = new DataView(new ArrayBuffer(VirtioNetHdrV1.size));
  #headerBytes = VirtioNetHdrV1.size;
  #isMergeable = false;

  constructor(queue: VirtQueue, ram: RamCopy, fail: (rule: string) => void, copies: () => MessageIo) {
    this.queue = queue;
    this.#fail = fail;
    this.#pieces = new Pieces(ram, this.#gpa, this.#length, copies);
  }

  /** As it is negotiated. */
  configure(headerBytes: number, isMergeable: boolean): void {
    this.#headerBytes = headerBytes;
    this.#isMergeable = isMergeable;
  }

  /** Room for a frame of so many bytes. */
  reserve(lengthBytes: number): Room {
    const needed = this.#headerBytes + lengthBytes;
    if (!this.#isMergeable) {
      const room = this.#endChain === this.#firstChain ? this.#popOne() : ROOM.yes;
      if (room !== ROOM.yes) return room;
      return needed <= (this.#chainBytes[this.#firstChain] ?? 0) ? ROOM.yes : ROOM.never;
    }
    while (this.#stockBytes < needed) {
      const room = this.#popOne();
      if (room !== ROOM.yes) return room;
    }
    return ROOM.yes;
  }

  /** Into what is reserved, at a byte of the frame. */
  write(at: number, bytes: Uint8Array, lengthBytes: number): void {
    this.#pieces.fromBytes(this.#headerBytes + at, bytes, lengthBytes);
  }

  /** The first bytes of what is in the buffers, which the guest may have changed. */
  read(into: DataView, lengthBytes: number): void {
    this.#pieces.toView(this.#headerBytes, into, 0, lengthBytes);
  }

  /** The same, of any part. */
  copyTo(into: Uint8Array, from: number): void {
    this.#pieces.toBytes(this.#headerBytes + from, into);
  }

  addTo(message: MessageIo, at: number, lengthBytes: number): boolean {
    return this.#pieces.addTo(message, this.#headerBytes + at, lengthBytes);
  }

  /**
   * Gives the driver a frame for which `reserve` has said yes. §5.1.6.4: all its buffers but the last are
   * full, and are seen at once.
   */
  commit(lengthBytes: number, offload: Readonly<Offload>): void {
    const total = this.#headerBytes + lengthBytes;
    const first = this.#firstChain;
    let chains = 0;
    for (let left = total; left > 0; chains++) {
      const bytes = this.#chainBytes[first + chains] ?? 0;
      this.queue.put(this.#heads[first + chains] ?? 0, Math.min(left, bytes));
      left -= bytes;
    }
    this.#writeHeader(offload, chains);
    this.queue.publish();
    this.isUntold = true;
    this.#dropFromStock(chains);
  }

  /** The stock is the driver's again: the queue finds it once more. */
  giveBack(): void {
    this.queue.unpop(this.#endChain - this.#firstChain);
    this.forget();
  }

  /** The driver has reset the queue. */
  forget(): void {
    this.isUntold = false;
    this.#firstChain = this.#endChain = this.#firstPiece = this.#endPiece = 0;
    this.#stockBytes = 0;
    this.#pieces.begin(0, 0);
  }

  #writeHeader(offload: Readonly<Offload>, chains: number): void {
    const header = this.#header;
    writeOffload(header, offload, chains);
    this.#pieces.fromView(0, header, 0, this.#headerBytes);
  }

  #dropFromStock(chains: number): void {
    for (let i = 0; i < chains; i++) {
      this.#stockBytes -= this.#chainBytes[this.#firstChain] ?? 0;
      this.#firstPiece += this.#chainPieces[this.#firstChain] ?? 0;
      this.#firstChain++;
    }
    if (this.#firstChain === this.#endChain)
      this.#firstChain = this.#endChain = this.#firstPiece = this.#endPiece = 0;
    this.#pieces.begin(this.#firstPiece, this.#endPiece);
  }

  /** `never`: nothing comes until something of the stock is used. */
  #popOne(): Room {
    const chain = this.#chain;
    if (!this.queue.pop(chain)) return this.#isAll ? ROOM.never : ROOM.notYet;
    const pieces = chain.segments - chain.readable;
    if (chain.writableBytes < this.#headerBytes) {
      this.#fail('§5.1.6.3.1: a buffer for frames without room for a header');
      return ROOM.notYet;
    }
    if (this.#endPiece + pieces > MAX_PIECES || this.#endChain === MAX_QUEUE_SIZE) this.#moveToFront();
    if (this.#endPiece + pieces > MAX_PIECES || this.#endChain === MAX_QUEUE_SIZE) {
      this.queue.unpop(1);
      return ROOM.never;
    }
    for (let i = 0; i < pieces; i++) {
      this.#gpa[this.#endPiece + i] = chain.gpa[chain.readable + i] ?? 0;
      this.#length[this.#endPiece + i] = chain.length[chain.readable + i] ?? 0;
    }
    this.#endPiece += pieces;
    this.#heads[this.#endChain] = chain.head;
    this.#chainBytes[this.#endChain] = chain.writableBytes;
    this.#chainPieces[this.#endChain] = pieces;
    this.#endChain++;
    this.#stockBytes += chain.writableBytes;
    this.#pieces.extend(this.#endPiece);
    return ROOM.yes;
  }

  /** The driver has no chain left to offer. */
  get #isAll(): boolean {
    const chains = this.#endChain - this.#firstChain;
    return chains > 0 && chains === this.queue.size;
  }

  #moveToFront(): void {
    this.#gpa.copyWithin(0, this.#firstPiece, this.#endPiece);
    this.#length.copyWithin(0, this.#firstPiece, this.#endPiece);
    this.#heads.copyWithin(0, this.#firstChain, this.#endChain);
    this.#chainBytes.copyWithin(0, this.#firstChain, this.#endChain);
    this.#chainPieces.copyWithin(0, this.#firstChain, this.#endChain);
    this.#endPiece -= this.#firstPiece;
    this.#endChain -= this.#firstChain;
    this.#firstPiece = this.#firstChain = 0;
    this.#pieces.begin(0, this.#endPiece);
  }
}

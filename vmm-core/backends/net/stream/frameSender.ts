/**
 * What is on its way to a stream: short frames are collected, so that many go by one call, and what the
 * socket does not take waits, a bounded number of bytes.
 */
import type { MessageIo } from '../../../bus/messageIo.ts';
import { IoBuffer } from '../../../memory/ioBuffer.ts';
import { EAGAIN, ENOBUFS, ENOMEM } from '../../../kvm/errno.ts';
import type { GuestFrame } from '../netLink.ts';
import { LENGTH_BYTES } from './frameReader.ts';

const BUFFER_BYTES = 0x80000;
/** Frames from this length on go straight from guest memory. */
const LONG_BYTES = 0x2000;
/** More is not collected. */
const BATCH_BYTES = 0x10000;

/** What became of a frame. */
export const SENT = { yes: 0, noRoom: 1, noConnection: 2 } as const;
export type Sent = (typeof SENT)[keyof typeof SENT];

export class FrameSender {
  readonly #message: MessageIo;
  readonly #buffer = new IoBuffer(BUFFER_BYTES);
  readonly #view = new DataView(this.#buffer.memory.buffer, 0, BUFFER_BYTES);
  /** Before a frame that goes from guest memory. */
  readonly #header = new IoBuffer(LENGTH_BYTES);
  readonly #headerView = new DataView(this.#header.memory.buffer, 0, LENGTH_BYTES);
  #begin = 0;
  #end = 0;
  /** The socket takes no more until it says so. */
  #isBlocked = false;

  constructor(message: MessageIo) {
    this.#message = message;
  }

  send(fd: number, frame: GuestFrame): Sent {
    if (frame.lengthBytes >= LONG_BYTES && this.#begin === this.#end) return this.#sendLong(fd, frame);
    if (!this.#makeRoom(frame.lengthBytes)) {
      if (!this.flush(fd)) return SENT.noConnection;
      if (!this.#makeRoom(frame.lengthBytes)) return SENT.noRoom;
    }
    this.#append(frame, 0);
    const isMuch = this.#end - this.#begin >= BATCH_BYTES;
    return isMuch && !this.flush(fd) ? SENT.noConnection : SENT.yes;
  }

  /** The socket takes more. */
  unblock(): void {
    this.#isBlocked = false;
  }

  /** Something waits that the socket would take: the host has no memory for it now. */
  get isStuck(): boolean {
    return this.#begin < this.#end && !this.#isBlocked;
  }

  /** All of the collected that the socket takes. False: there is no connection any more. */
  flush(fd: number): boolean {
    const message = this.#message;
    while (this.#begin < this.#end && !this.#isBlocked) {
      message.clear();
      message.addBuffer(this.#buffer, this.#begin, this.#end - this.#begin);
      const result = message.send(fd);
      if (result === -EAGAIN) this.#isBlocked = true;
      else if (result === -ENOBUFS || result === -ENOMEM) break;
      else if (result < 0) return false;
      else this.#begin += result;
    }
    if (this.#begin === this.#end) this.#forget();
    return true;
  }

  /** Another stream begins. */
  clear(): void {
    this.#forget();
    this.#isBlocked = false;
  }

  #forget(): void {
    this.#begin = 0;
    this.#end = 0;
  }

  #sendLong(fd: number, frame: GuestFrame): Sent {
    const message = this.#message;
    const { lengthBytes } = frame;
    this.#headerView.setUint32(0, lengthBytes);
    message.clear();
    message.addBuffer(this.#header, 0, LENGTH_BYTES);
    let result = 0;
    if (!this.#isBlocked && frame.addTo(message, 0, lengthBytes)) result = message.send(fd);
    if (result === -EAGAIN) this.#isBlocked = true;
    else if (result < 0 && result !== -ENOBUFS && result !== -ENOMEM) return SENT.noConnection;
    const sent = Math.max(0, result);
    if (sent < LENGTH_BYTES + lengthBytes) this.#append(frame, sent);
    return SENT.yes;
  }

  /** All but the first bytes of a frame and its length. There is room. */
  #append(frame: GuestFrame, from: number): void {
    const { lengthBytes } = frame;
    this.#headerView.setUint32(0, lengthBytes);
    for (let i = from; i < LENGTH_BYTES; i++) this.#view.setUint8(this.#end++, this.#headerView.getUint8(i));
    const first = Math.max(0, from - LENGTH_BYTES);
    frame.copyTo(this.#buffer.bytes.subarray(this.#end, this.#end + lengthBytes - first), first);
    this.#end += lengthBytes - first;
  }

  #makeRoom(lengthBytes: number): boolean {
    const neededBytes = LENGTH_BYTES + lengthBytes;
    if (this.#end + neededBytes <= BUFFER_BYTES) return true;
    if (this.#end - this.#begin + neededBytes > BUFFER_BYTES) return false;
    this.#buffer.bytes.copyWithin(0, this.#begin, this.#end);
    this.#end -= this.#begin;
    this.#begin = 0;
    return true;
  }
}

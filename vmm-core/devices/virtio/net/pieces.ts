/**
 * Pieces of guest memory in a row, as a frame lies in descriptors, and a place in them that is remembered:
 * who goes through a frame from its beginning to its end takes one step per piece. Nothing is allocated.
 * Much at once is copied by the kernel's messages: frames are rarely aligned as buffers are, and so an array
 * would copy them byte by byte.
 */
import type { MessageIo } from '../../../bus/messageIo.ts';
import type { RamCopy } from '../ramCopy.ts';

/** Less is as fast without a call. */
const WORTH_A_CALL_BYTES = 256;

export class Pieces {
  /** Guest-physical addresses, by piece; checked by the queue. */
  readonly gpa: Float64Array;
  readonly length: Uint32Array;
  readonly #ram: RamCopy;
  readonly #copies: (() => MessageIo) | undefined;
  #first = 0;
  #end = 0;
  // The piece that #seek has found, and where in the row it begins.
  #piece = 0;
  #pieceStart = 0;
  #inPiece = 0;

  /** The arrays are read only. `copies`: what may be used to copy with; without it nothing is much. */
  constructor(ram: RamCopy, gpa: Float64Array, length: Uint32Array, copies?: () => MessageIo) {
    this.#ram = ram;
    this.#copies = copies;
    this.gpa = gpa;
    this.length = length;
  }

  /** The row is the pieces from `first` to before `end`. */
  begin(first: number, end: number): void {
    this.#first = first;
    this.#end = end;
    this.#piece = first;
    this.#pieceStart = 0;
  }

  /** More pieces at its end. */
  extend(end: number): void {
    this.#end = end;
  }

  /** From byte `offset` of the row on. The row must be as long; so of all that follow. */
  toView(offset: number, into: DataView, at: number, lengthBytes: number): void {
    if (lengthBytes > 0) this.#seek(offset);
    for (let done = 0; done < lengthBytes;) {
      const part = this.#part(lengthBytes - done);
      this.#ram.toView(this.#gpaHere(), into, at + done, part);
      done += part;
      this.#advance(part);
    }
  }

  fromView(offset: number, from: DataView, at: number, lengthBytes: number): void {
    if (lengthBytes > 0) this.#seek(offset);
    for (let done = 0; done < lengthBytes;) {
      const part = this.#part(lengthBytes - done);
      this.#ram.fromView(this.#gpaHere(), from, at + done, part);
      done += part;
      this.#advance(part);
    }
  }

  toBytes(offset: number, into: Uint8Array): void {
    if (this.#named(offset, into.length)?.copyTo(into) === true) return;
    if (into.length > 0) this.#seek(offset);
    for (let done = 0; done < into.length;) {
      const part = this.#part(into.length - done);
      this.#ram.toBytes(this.#gpaHere(), into, done, part);
      done += part;
      this.#advance(part);
    }
  }

  fromBytes(offset: number, bytes: Uint8Array, lengthBytes: number): void {
    if (bytes.length === lengthBytes && this.#named(offset, lengthBytes)?.fill(bytes) === true) return;
    if (lengthBytes > 0) this.#seek(offset);
    for (let done = 0; done < lengthBytes;) {
      const part = this.#part(lengthBytes - done);
      this.#ram.fromBytes(this.#gpaHere(), bytes, done, part);
      done += part;
      this.#advance(part);
    }
  }

  /** False: the message has no room for so many pieces. */
  addTo(message: MessageIo, offset: number, lengthBytes: number): boolean {
    if (lengthBytes > 0) this.#seek(offset);
    for (let done = 0; done < lengthBytes;) {
      const part = this.#part(lengthBytes - done);
      if (!message.addGuest(this.#gpaHere(), part)) return false;
      done += part;
      this.#advance(part);
    }
    return true;
  }

  /** That part of the row, where it is worth a call; undefined: it is not, or there is no room for it. */
  #named(offset: number, lengthBytes: number): MessageIo | undefined {
    if (lengthBytes < WORTH_A_CALL_BYTES) return undefined;
    const message = this.#copies?.();
    message?.clear();
    return message !== undefined && this.addTo(message, offset, lengthBytes) ? message : undefined;
  }

  /** Before at least one byte. */
  #seek(offset: number): void {
    if (offset < this.#pieceStart) {
      this.#piece = this.#first;
      this.#pieceStart = 0;
    }
    for (;;) {
      const length = this.#lengthHere();
      if (offset < this.#pieceStart + length) break;
      this.#pieceStart += length;
      this.#piece++;
    }
    this.#inPiece = offset - this.#pieceStart;
  }

  #gpaHere(): number {
    return (this.gpa[this.#piece] ?? 0) + this.#inPiece;
  }

  /** Of the piece that it is in, at most so much. */
  #part(mostBytes: number): number {
    return Math.min(mostBytes, this.#lengthHere() - this.#inPiece);
  }

  #advance(bytes: number): void {
    this.#inPiece += bytes;
    const length = this.length[this.#piece] ?? 0;
    if (this.#inPiece < length) return;
    this.#pieceStart += length;
    this.#piece++;
    this.#inPiece = 0;
  }

  #lengthHere(): number {
    if (this.#piece >= this.#end) throw new RangeError('a frame is shorter than its length');
    return this.length[this.#piece] ?? 0;
  }
}

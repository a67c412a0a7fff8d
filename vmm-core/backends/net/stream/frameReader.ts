/**
 * Takes a stream apart into frames: before each is its length in four bytes, big-endian, as QEMU has it
 * (net/stream.c). Pure; the caller receives into its buffer. The peer is hostile: a length is checked before
 * anything waits for so many bytes.
 */
import { IoBuffer } from '../../../memory/ioBuffer.ts';
import { MAX_FRAME_BYTES } from '../netLink.ts';

export const LENGTH_BYTES = 4;
/** Several of the longest. */
const BUFFER_BYTES = 0x40000;

/** What `next` says where there is no whole frame. */
export const NOT_YET = 0;
export const NO_FRAME = -1;

export class FrameReader {
  readonly buffer = new IoBuffer(BUFFER_BYTES);
  readonly #view = new DataView(this.buffer.memory.buffer, 0, BUFFER_BYTES);
  #begin = 0;
  #end = 0;

  /** Where to receive, and how much: always at least the rest of the frame that has begun. */
  get roomAt(): number {
    return this.#end;
  }

  get roomBytes(): number {
    return BUFFER_BYTES - this.#end;
  }

  /** So many bytes have come to `roomAt`. */
  filled(lengthBytes: number): void {
    this.#end += lengthBytes;
  }

  /** The length of the next frame, which begins at `frameAt`, when all of it is there. */
  next(): number {
    const bytes = this.#end - this.#begin;
    if (bytes < LENGTH_BYTES) return this.#wait();
    const length = this.lengthField;
    if (length === 0 || length > MAX_FRAME_BYTES) return NO_FRAME;
    return bytes < LENGTH_BYTES + length ? this.#wait() : length;
  }

  get frameAt(): number {
    return this.#begin + LENGTH_BYTES;
  }

  /** What `next` found not to be one. */
  get lengthField(): number {
    return this.#view.getUint32(this.#begin);
  }

  /** The frame that `next` has found is done with. */
  take(lengthBytes: number): void {
    this.#begin += LENGTH_BYTES + lengthBytes;
  }

  /** Another stream begins. */
  clear(): void {
    this.#begin = 0;
    this.#end = 0;
  }

  /** Moves the beginning of a frame to the front, where the rest of it would not fit. */
  #wait(): typeof NOT_YET {
    if (this.#begin === this.#end) this.clear();
    else if (BUFFER_BYTES - this.#begin < LENGTH_BYTES + MAX_FRAME_BYTES) {
      this.buffer.bytes.copyWithin(0, this.#begin, this.#end);
      this.#end -= this.#begin;
      this.#begin = 0;
    }
    return NOT_YET;
  }
}

/**
 * A place in the buffers of a descriptor chain, which moves on as they are filled or read. It goes by the
 * copy that the queue made and checked, never by the guest's descriptors. Nothing is allocated where data
 * moves past us.
 */
import type { Iovecs } from '../../../bus/ioEngine.ts';
import { gpa, type GuestMemory } from '../../../memory/guestMemory.ts';
import type { DescriptorChain } from '../descriptorChain.ts';

export class ChainCursor {
  readonly #chain: DescriptorChain;
  readonly #memory: GuestMemory;
  #segment = 0;
  #offset = 0;
  #pieceGpa = 0;

  constructor(chain: DescriptorChain, memory: GuestMemory) {
    this.#chain = chain;
    this.#memory = memory;
  }

  /** To a byte of what the device reads. */
  toReadable(offset: number): void {
    this.#segment = 0;
    this.#offset = 0;
    this.skip(offset);
  }

  /** To the first byte of what the device writes. */
  toWritable(): void {
    this.#segment = this.#chain.readable;
    this.#offset = 0;
  }

  /** Fills all of it from the guest. */
  copyOut(into: Uint8Array): void {
    for (let done = 0; done < into.length;) {
      const length = this.#take(into.length - done);
      into.set(this.#memory.slice(gpa(this.#pieceGpa), length), done);
      done += length;
    }
  }

  /** Gives all of it to the guest. */
  copyIn(from: Uint8Array): void {
    for (let done = 0; done < from.length;) {
      const length = this.#take(from.length - done);
      this.#memory.write(gpa(this.#pieceGpa), from.subarray(done, done + length));
      done += length;
    }
  }

  zero(lengthBytes: number): void {
    for (let done = 0; done < lengthBytes;) {
      const length = this.#take(lengthBytes - done);
      this.#memory.zero(gpa(this.#pieceGpa), length);
      done += length;
    }
  }

  /** Appends the next bytes to a slot's row. False: they are not memory for I/O. */
  addTo(iovecs: Iovecs, slot: number, lengthBytes: number): boolean {
    for (let done = 0; done < lengthBytes;) {
      const length = this.#take(lengthBytes - done);
      if (!iovecs.addGuest(slot, this.#pieceGpa, length)) return false;
      done += length;
    }
    return true;
  }

  /** Whether each piece of the next bytes begins and ends at a multiple. Stays where it is. */
  isAligned(lengthBytes: number, alignmentBytes: number): boolean {
    const { length, gpa: start } = this.#chain;
    let offset = this.#offset;
    let left = lengthBytes;
    for (let i = this.#segment; left > 0; i++) {
      const bytes = Math.min(left, (length[i] ?? 0) - offset);
      if (((start[i] ?? 0) + offset) % alignmentBytes !== 0 || bytes % alignmentBytes !== 0) return false;
      left -= bytes;
      offset = 0;
    }
    return true;
  }

  skip(lengthBytes: number): void {
    for (let left = lengthBytes; left > 0;) left -= this.#take(left);
  }

  /** The next piece, of at most that many bytes: its length, and #pieceGpa is where it is. */
  #take(mostBytes: number): number {
    const { length, gpa: start, segments } = this.#chain;
    if (this.#segment >= segments) throw new RangeError('the chain is shorter than its length');
    const rest = (length[this.#segment] ?? 0) - this.#offset;
    this.#pieceGpa = (start[this.#segment] ?? 0) + this.#offset;
    if (rest > mostBytes) {
      this.#offset += mostBytes;
      return mostBytes;
    }
    this.#segment++;
    this.#offset = 0;
    return rest;
  }
}

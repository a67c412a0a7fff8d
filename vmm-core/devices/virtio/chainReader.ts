/** Copies what the device reads of a descriptor chain, in as many goes as one likes. */
import { gpa, type GuestMemory } from '../../memory/guestMemory.ts';
import type { DescriptorChain } from './descriptorChain.ts';

export class ChainReader {
  readonly #chain: DescriptorChain;
  readonly #memory: GuestMemory;
  #segment = 0;
  #offset = 0;

  constructor(chain: DescriptorChain, memory: GuestMemory) {
    this.#chain = chain;
    this.#memory = memory;
  }

  /** The queue has put another chain there. */
  begin(): void {
    this.#segment = 0;
    this.#offset = 0;
  }

  get isAtEnd(): boolean {
    return this.#segment >= this.#chain.readable;
  }

  /** The next bytes, as many as there are and `into` has room for. Returns how many. */
  read(into: Uint8Array): number {
    const { length, gpa: start } = this.#chain;
    let done = 0;
    while (!this.isAtEnd && done < into.length) {
      const rest = (length[this.#segment] ?? 0) - this.#offset;
      const size = Math.min(rest, into.length - done);
      into.set(this.#memory.slice(gpa((start[this.#segment] ?? 0) + this.#offset), size), done);
      done += size;
      this.#offset += size;
      if (size === rest) {
        this.#segment++;
        this.#offset = 0;
      }
    }
    return done;
  }
}

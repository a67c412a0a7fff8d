/**
 * Buffers that the driver has offered for packets to the guest. Several are held in hand, since one receive
 * fills as many as there is data for: a driver's buffers have a page each.
 */
import type { MessageIo } from '../../../bus/messageIo.ts';
import type { GuestMemory } from '../../../memory/guestMemory.ts';
import { DescriptorChain } from '../descriptorChain.ts';
import type { VirtQueue } from '../queue.ts';
import { HEADER_BYTES, type PacketHeader } from './packetHeader.ts';
import { addPieces } from './packetPieces.ts';

/** As many as a message has pieces. */
const IN_HAND = 64;

export class RxBuffers {
  readonly #queue: VirtQueue;
  readonly #memory: GuestMemory;
  readonly #fail: (rule: string) => void;
  /** A ring. */
  readonly #chains = Array.from({ length: IN_HAND }, () => new DescriptorChain());
  #first = 0;
  #count = 0;
  /** Something was returned since the driver was last considered for an interrupt. */
  isUsed = false;

  constructor(queue: VirtQueue, memory: GuestMemory, fail: (rule: string) => void) {
    this.#queue = queue;
    this.#memory = memory;
    this.#fail = fail;
  }

  /** Whether there is a buffer at this place, from 0 on. */
  has(place: number): boolean {
    while (this.#count <= place) {
      if (this.#count === IN_HAND || !this.#queue.pop(this.#at(this.#count))) return false;
      const { writableBytes } = this.#at(this.#count);
      if (writableBytes <= HEADER_BYTES) {
        this.#fail(`§5.10.6.2: a receive buffer of ${writableBytes} bytes, less than a packet`);
        return false;
      }
      this.#count++;
    }
    return true;
  }

  /** For data, in a buffer that is there. */
  roomBytes(place: number): number {
    return this.#at(place).writableBytes - HEADER_BYTES;
  }

  /** Appends room for data to a message; returns how much. */
  addTo(message: MessageIo, place: number, lengthBytes: number): number {
    const chain = this.#at(place);
    return addPieces(chain, chain.readable, 0, lengthBytes, message);
  }

  /** A packet is in the first buffer: its header goes before its data, and the driver has it. */
  put(header: PacketHeader): void {
    const chain = this.#at(0);
    header.write(chain, this.#memory);
    this.#queue.push(chain.head, HEADER_BYTES + header.len);
    this.#first = (this.#first + 1) % IN_HAND;
    this.#count--;
    this.isUsed = true;
  }

  /** The driver has them back. */
  forget(): void {
    this.#count = 0;
    this.isUsed = false;
  }

  #at(place: number): DescriptorChain {
    const chain = this.#chains[(this.#first + place) % IN_HAND];
    if (chain === undefined) throw new RangeError('no such buffer');
    return chain;
  }
}

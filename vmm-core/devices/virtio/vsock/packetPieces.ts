/** The data of a packet, behind its header, where it is in guest memory. */
import type { MessageIo } from '../../../bus/messageIo.ts';
import { gpa, type GuestMemory } from '../../../memory/guestMemory.ts';
import type { DescriptorChain } from '../descriptorChain.ts';
import { HEADER_BYTES } from './packetHeader.ts';

/**
 * Appends data to a message: `lengthBytes` from byte `from` on, which the chain has. `segment`: the first of
 * the packet. Returns how many bytes the message had room for.
 */
export function addPieces(
  { gpa: start, length, segments }: DescriptorChain,
  segment: number,
  from: number,
  lengthBytes: number,
  message: MessageIo,
): number {
  let skip = HEADER_BYTES + from;
  let left = lengthBytes;
  for (let i = segment; i < segments && left > 0; i++) {
    const size = length[i] ?? 0;
    const take = Math.min(size - skip, left);
    if (take > 0) {
      if (!message.addGuest((start[i] ?? 0) + skip, take)) break;
      left -= take;
    }
    skip = Math.max(0, skip - size);
  }
  return lengthBytes - left;
}

/**
 * Gives a copy's way: `append` gets the data from byte `from` on, piece by piece, as it is in guest memory. A
 * view is made for each piece: this is for what cannot go straight to a socket.
 */
export function eachPiece(
  { gpa: start, length, readable }: DescriptorChain,
  memory: GuestMemory,
  from: number,
  lengthBytes: number,
  append: (piece: Uint8Array) => void,
): void {
  let skip = HEADER_BYTES + from;
  let left = lengthBytes;
  for (let i = 0; i < readable && left > 0; i++) {
    const size = length[i] ?? 0;
    const take = Math.min(size - skip, left);
    if (take > 0) {
      append(memory.slice(gpa((start[i] ?? 0) + skip), take));
      left -= take;
    }
    skip = Math.max(0, skip - size);
  }
}

/**
 * Guest memory for clients: linear through a vCPU's page tables, or physical; planted int3s hidden. Main thread; reads work while the
 * VM runs (registers as of the last stop decide the page tables then).
 */
import type { GuestMemory } from '../memory/guestMemory.ts';
import { GuestAddressError, gpa } from '../memory/guestMemory.ts';
import { linearPieces, type Piece } from '../memory/linearMemory.ts';
import type { PagingState } from '../memory/pageWalk.ts';
import type { Breakpoints } from './breakpoints.ts';

export interface MemoryRange {
  readonly address: bigint;
  readonly lengthBytes: number;
  /** Undefined: physical. */
  readonly paging: PagingState | undefined;
}

/** As many bytes as can be read from the start of the range on. */
export function readMemory(memory: GuestMemory, breakpoints: Breakpoints, range: MemoryRange): Uint8Array {
  const pieces = piecesOf(memory, range);
  const last = pieces.at(-1);
  const out = new Uint8Array(last === undefined ? 0 : last.offset + last.lengthBytes);
  for (const piece of pieces) {
    const part = out.subarray(piece.offset, piece.offset + piece.lengthBytes);
    part.set(memory.slice(piece.gpa, piece.lengthBytes));
    breakpoints.hide(piece.gpa, part);
  }
  return out;
}

/** All or nothing; vCPUs stopped. Throws GuestAddressError at the first byte that is not RAM. */
export function writeMemory(
  memory: GuestMemory,
  breakpoints: Breakpoints,
  range: Omit<MemoryRange, 'lengthBytes'>,
  bytes: Uint8Array,
): void {
  const pieces = piecesOf(memory, { ...range, lengthBytes: bytes.length });
  const last = pieces.at(-1);
  const mapped = last === undefined ? 0 : last.offset + last.lengthBytes;
  if (mapped < bytes.length)
    throw new GuestAddressError(range.address + BigInt(mapped), bytes.length - mapped);
  breakpoints.withoutPlanted(() => {
    for (const piece of pieces)
      memory.write(piece.gpa, bytes.subarray(piece.offset, piece.offset + piece.lengthBytes));
  });
}

function piecesOf(memory: GuestMemory, { address, lengthBytes, paging }: MemoryRange): Piece[] {
  if (paging !== undefined) return linearPieces(memory, paging, address, lengthBytes);
  const pieces: Piece[] = [];
  // A range may run from one RAM slot into the next.
  for (let offset = 0; offset < lengthBytes;) {
    const at = Number(address) + offset;
    const length = Math.min(lengthBytes - offset, memory.contiguousBytes(at));
    if (length === 0) break;
    pieces.push({ gpa: gpa(at), offset, lengthBytes: length });
    offset += length;
  }
  return pieces;
}

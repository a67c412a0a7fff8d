/** Reads and writes by linear address, page by page through the guest's tables. Used by stepping and by the debugger's memory requests. */
import type { Gpa, GuestMemory } from './guestMemory.ts';
import { type PagingState, walk } from './pageWalk.ts';

const PAGE_BYTES = 4096;

/** One piece of a linear range: contiguous in RAM. */
export interface Piece {
  readonly gpa: Gpa;
  readonly offset: number;
  readonly lengthBytes: number;
}

/** The pieces that map [linear, linear + lengthBytes), up to the first byte that is not mapped. */
export function linearPieces(
  memory: GuestMemory,
  state: PagingState,
  linear: bigint,
  lengthBytes: number,
): Piece[] {
  const pieces: Piece[] = [];
  for (let offset = 0; offset < lengthBytes;) {
    const address = BigInt.asUintN(64, linear + BigInt(offset));
    const { gpa } = walk(memory, state, address);
    if (gpa === undefined) break;
    const inPage = PAGE_BYTES - Number(address & 0xfffn);
    const length = Math.min(inPage, lengthBytes - offset, memory.contiguousBytes(gpa));
    pieces.push({ gpa, offset, lengthBytes: length });
    offset += length;
  }
  return pieces;
}

/** As many bytes as are mapped, from `linear` on. */
export function readLinear(
  memory: GuestMemory,
  state: PagingState,
  linear: bigint,
  lengthBytes: number,
): Uint8Array {
  const pieces = linearPieces(memory, state, linear, lengthBytes);
  const last = pieces.at(-1);
  const out = new Uint8Array(last === undefined ? 0 : last.offset + last.lengthBytes);
  for (const piece of pieces) out.set(memory.slice(piece.gpa, piece.lengthBytes), piece.offset);
  return out;
}

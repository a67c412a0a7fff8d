/**
 * Reads and writes by linear address, page by page through the guest's tables. Used by stepping and by the
 * debugger's memory requests.
 */
import type { Gpa, GuestMemory } from './guestMemory.ts';
import { type PagingState, RangeWalker } from './pageWalk.ts';

/** One piece of a linear range: contiguous in RAM. */
export interface Piece {
  readonly gpa: Gpa;
  readonly offset: number;
  readonly lengthBytes: number;
}

/**
 * The pieces that map [linear, linear + lengthBytes), up to the first byte that is not mapped. One per page,
 * found on demand.
 */
export function* eachLinearPiece(
  memory: GuestMemory,
  state: PagingState,
  linear: bigint,
  lengthBytes: number,
): Generator<Piece, void, undefined> {
  const walker = new RangeWalker(memory, state);
  for (let offset = 0; offset < lengthBytes;) {
    const address = BigInt.asUintN(64, linear + BigInt(offset));
    const place = walker.find(address);
    if (place === undefined) return;
    const inPage = place.pageBytes - Number(address & BigInt(place.pageBytes - 1));
    const length = Math.min(inPage, lengthBytes - offset, memory.contiguousBytes(place.gpa));
    yield { gpa: place.gpa, offset, lengthBytes: length };
    offset += length;
  }
}

export function linearPieces(
  memory: GuestMemory,
  state: PagingState,
  linear: bigint,
  lengthBytes: number,
): Piece[] {
  return [...eachLinearPiece(memory, state, linear, lengthBytes)];
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

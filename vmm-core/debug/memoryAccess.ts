/**
 * Guest memory for clients: linear through a vCPU's page tables, or physical; planted int3s hidden. Main
 * thread; reads work while the VM runs (registers as of the last stop decide the page tables then).
 */
import type { GuestMemory } from '../memory/guestMemory.ts';
import { GuestAddressError, gpa } from '../memory/guestMemory.ts';
import { eachLinearPiece, type Piece } from '../memory/linearMemory.ts';
import type { PagingState } from '../memory/pageWalk.ts';
import type { Breakpoints } from './breakpoints.ts';

export interface MemoryRange {
  readonly address: bigint;
  readonly lengthBytes: number;
  /** Undefined: physical. */
  readonly paging: PagingState | undefined;
}

/** The main thread serves terminals and other clients too: long work pauses this often. */
const SLICE_MS = 10;
/** Copied at once. */
const MAX_PIECE_BYTES = 2 ** 20;

/**
 * As many bytes as can be read from the start of the range. In slices: a guest can make a range expensive to
 * walk.
 */
export async function readMemory(
  memory: GuestMemory,
  breakpoints: Breakpoints,
  range: MemoryRange,
): Promise<Uint8Array> {
  // Not zeroed: what is not read below is not returned.
  const out = new Uint8Array(Buffer.allocUnsafeSlow(range.lengthBytes).buffer);
  let readBytes = 0;
  let hide = breakpoints.hider();
  let sliceEnd = performance.now() + SLICE_MS;
  for (const piece of piecesOf(memory, range)) {
    const part = out.subarray(piece.offset, piece.offset + piece.lengthBytes);
    part.set(memory.slice(piece.gpa, piece.lengthBytes));
    hide(piece.gpa, part);
    readBytes = piece.offset + piece.lengthBytes;
    if (performance.now() < sliceEnd) continue;
    await nextTurn();
    hide = breakpoints.hider(); // another client may have set some meanwhile
    sliceEnd = performance.now() + SLICE_MS;
  }
  // An answer waiting for its reader must not hold more memory than its bytes.
  return readBytes === out.length ? out : out.slice(0, readBytes);
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** All or nothing; vCPUs stopped. Throws GuestAddressError at the first byte that is not RAM. */
export function writeMemory(
  memory: GuestMemory,
  breakpoints: Breakpoints,
  range: Omit<MemoryRange, 'lengthBytes'>,
  bytes: Uint8Array,
): void {
  const pieces = [...piecesOf(memory, { ...range, lengthBytes: bytes.length })];
  const last = pieces.at(-1);
  const mapped = last === undefined ? 0 : last.offset + last.lengthBytes;
  if (mapped < bytes.length)
    throw new GuestAddressError(range.address + BigInt(mapped), bytes.length - mapped);
  breakpoints.withoutPlanted(() => {
    for (const piece of pieces)
      memory.write(piece.gpa, bytes.subarray(piece.offset, piece.offset + piece.lengthBytes));
  });
}

/** Each contiguous in RAM and no longer than one copy. */
function* piecesOf(memory: GuestMemory, range: MemoryRange): Generator<Piece, void, undefined> {
  const { address, lengthBytes, paging } = range;
  const pieces =
    paging === undefined
      ? physicalPieces(memory, Number(address), lengthBytes)
      : eachLinearPiece(memory, paging, address, lengthBytes);
  for (const piece of pieces) {
    for (let at = 0; at < piece.lengthBytes; at += MAX_PIECE_BYTES) {
      const length = Math.min(MAX_PIECE_BYTES, piece.lengthBytes - at);
      yield { gpa: gpa(piece.gpa + at), offset: piece.offset + at, lengthBytes: length };
    }
  }
}

/** A range may run from one RAM slot into the next. */
function* physicalPieces(
  memory: GuestMemory,
  address: number,
  lengthBytes: number,
): Generator<Piece, void, undefined> {
  for (let offset = 0; offset < lengthBytes;) {
    const length = Math.min(lengthBytes - offset, memory.contiguousBytes(address + offset));
    if (length === 0) return;
    yield { gpa: gpa(address + offset), offset, lengthBytes: length };
    offset += length;
  }
}

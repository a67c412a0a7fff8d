/** Copies all of a disk into a new, empty image; zeros are left out. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { DiskImage } from './diskImage.ts';
import { type Piece, piecesOf } from './readAhead.ts';
import { Qcow2Image } from './qcow2/qcow2Image.ts';
import { packCluster } from './qcow2/unpack.ts';
import { eachRun, isZero } from './zeros.ts';

export interface CopyOptions {
  /** Of the source, that is done with. */
  readonly onProgress?: (doneBytes: number) => void;
  /** Aborted: `copyImage` throws its reason. */
  readonly signal?: AbortSignal;
  /** Clusters are compressed, by zlib. The target is a qcow2 image. */
  readonly compresses?: boolean;
}

/** Compressed at once, by the threads of node's pool. */
const PACKED_AT_ONCE = 8;

/**
 * `target` reads as zeros, and is at least as large. Other threads read while this one writes, and other work
 * goes on in between.
 */
export async function copyImage(
  source: DiskImage,
  target: DiskImage,
  options: CopyOptions = {},
): Promise<void> {
  const { compresses = false, signal, onProgress } = options;
  const packedInto = compresses && target instanceof Qcow2Image ? target : undefined;
  signal?.throwIfAborted();
  for await (const pieces of piecesOf(source, target.clusterBytes)) {
    if (packedInto !== undefined) await packPieces(packedInto, pieces);
    else for (const it of pieces) writePiece(target, it);
    onProgress?.(endOf(pieces));
    await nextTurn();
    signal?.throwIfAborted();
  }
  onProgress?.(source.sizeBytes);
}

function endOf(pieces: readonly Piece[]): number {
  const last = pieces.at(-1);
  return last === undefined ? 0 : last.offset + last.bytes.length;
}

function writePiece(target: DiskImage, { offset, bytes }: Piece): void {
  eachRun(bytes, target.clusterBytes, {
    data: (start, end) => target.write(offset + start, bytes.subarray(start, end)),
  });
}

async function packPieces(target: Qcow2Image, pieces: readonly Piece[]): Promise<void> {
  const clusters = pieces.flatMap((it) => clustersOf(it, target.clusterBytes));
  for (let first = 0; first < clusters.length; first += PACKED_AT_ONCE) {
    const some = clusters.slice(first, first + PACKED_AT_ONCE);
    for (const write of await Promise.all(some.map((it) => packOne(target, it)))) write();
  }
}

function clustersOf({ offset, bytes }: Piece, clusterBytes: number): Piece[] {
  return Array.from({ length: Math.ceil(bytes.length / clusterBytes) }, (_, index) => {
    const at = index * clusterBytes;
    return { offset: offset + at, bytes: bytes.subarray(at, at + clusterBytes) };
  });
}

/** Returns what writes it: in the order of the disk, however long each takes to be compressed. */
async function packOne(target: Qcow2Image, { offset, bytes }: Piece): Promise<() => void> {
  if (isZero(bytes)) return () => undefined;
  const whole = new Uint8Array(target.clusterBytes);
  whole.set(bytes);
  const packed = await packCluster(whole);
  return () => (packed === undefined ? target.write(offset, bytes) : target.writePacked(offset, packed));
}

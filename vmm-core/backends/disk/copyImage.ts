/** Copies all of a disk into a new, empty image; zeros are left out. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { IoBuffer } from '../../memory/ioBuffer.ts';
import { type DiskImage, EXTENT, newExtent } from './diskImage.ts';
import { Qcow2Image } from './qcow2/qcow2Image.ts';
import { packCluster } from './qcow2/unpack.ts';

export interface CopyOptions {
  /** Of the source, that is done with. */
  readonly onProgress?: (doneBytes: number) => void;
  /** Aborted: `copyImage` throws its reason. */
  readonly signal?: AbortSignal;
  /** Clusters are compressed, by zlib. The target is a qcow2 image. */
  readonly compresses?: boolean;
}

const CHUNK_BYTES = 2 << 20;
/** Compressed at once, by the threads of node's pool. */
const PACKED_AT_ONCE = 8;
const ZEROS = new Uint8Array(CHUNK_BYTES);

/** `target` reads as zeros, and is at least as large. Lets other work go on between chunks. */
export async function copyImage(
  source: DiskImage,
  target: DiskImage,
  options: CopyOptions = {},
): Promise<void> {
  const copy =
    options.compresses === true && target instanceof Qcow2Image
      ? packing(source, target)
      : async (offset: number, lengthBytes: number) => copyChunk(source, target, offset, lengthBytes);
  const extent = newExtent();
  for (let at = 0; at < source.sizeBytes;) {
    options.signal?.throwIfAborted();
    source.locate(at, source.sizeBytes - at, extent);
    // chunks begin at multiples of their size, so that no cluster is written in two pieces
    const toBoundary = CHUNK_BYTES - (at % CHUNK_BYTES);
    const isZero = extent.kind === EXTENT.ZERO && extent.lengthBytes >= toBoundary;
    const lengthBytes = isZero
      ? extent.lengthBytes - ((at + extent.lengthBytes) % CHUNK_BYTES)
      : Math.min(toBoundary, source.sizeBytes - at);
    if (!isZero) await copy(at, lengthBytes);
    at += lengthBytes;
    options.onProgress?.(at);
    if (!isZero) await nextTurn();
  }
}

export function isZero(bytes: Uint8Array): boolean {
  if (bytes[0] !== 0) return false;
  for (let at = 0; at < bytes.length; at += ZEROS.length) {
    const part = bytes.subarray(at, at + ZEROS.length);
    if (Buffer.compare(part, part.length === ZEROS.length ? ZEROS : ZEROS.subarray(0, part.length)) !== 0)
      return false;
  }
  return true;
}

let chunk: IoBuffer | undefined;

/** Writes the runs of blocks that are not zeros. */
function copyChunk(source: DiskImage, target: DiskImage, offset: number, lengthBytes: number): void {
  chunk ??= new IoBuffer(CHUNK_BYTES);
  const bytes = chunk.bytes.subarray(0, lengthBytes);
  source.read(offset, bytes);
  const unit = Math.min(target.clusterBytes, lengthBytes);
  let start = 0;
  for (let at = 0; at < lengthBytes; at += unit) {
    if (!isZero(bytes.subarray(at, at + unit))) continue;
    if (at > start) target.write(offset + start, bytes.subarray(start, at));
    start = at + unit;
  }
  if (start < lengthBytes) target.write(offset + start, bytes.subarray(start));
}

function packing(
  source: DiskImage,
  target: Qcow2Image,
): (offset: number, lengthBytes: number) => Promise<void> {
  const { clusterBytes } = target;
  return async (offset, lengthBytes) => {
    const end = offset + lengthBytes;
    for (let at = offset; at < end;) {
      const clusters: Promise<() => void>[] = [];
      for (; at < end && clusters.length < PACKED_AT_ONCE; at += clusterBytes)
        clusters.push(packOne(source, target, at));
      for (const write of await Promise.all(clusters)) write();
    }
  };
}

/** Returns what writes it: in the order of the disk, however long each takes to be compressed. */
async function packOne(source: DiskImage, target: Qcow2Image, offset: number): Promise<() => void> {
  const bytes = new Uint8Array(target.clusterBytes);
  const onDisk = bytes.subarray(0, Math.min(bytes.length, source.sizeBytes - offset));
  source.read(offset, onDisk);
  if (isZero(onDisk)) return () => undefined;
  const packed = await packCluster(bytes);
  return () => (packed === undefined ? target.write(offset, onDisk) : target.writePacked(offset, packed));
}

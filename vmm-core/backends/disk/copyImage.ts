/** Copies all of a disk into a new, empty image; zeros are left out. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { nextData, readAhead } from '../../kvm/fileIo.ts';
import { IoBuffer } from '../../memory/ioBuffer.ts';
import { type DiskImage, EXTENT, type Extent, newExtent } from './diskImage.ts';
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

/** At least; a chunk has whole clusters. */
const CHUNK_BYTES = 1 << 20;
/** To hand a shorter read to another thread costs more than it takes. */
const LEAST_AHEAD_BYTES = 32 << 10;
/** Compressed at once, by the threads of node's pool. */
const PACKED_AT_ONCE = 8;
const ZEROS = new Uint8Array(64 << 10);

/** A part of the disk, in memory. */
interface Chunk {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/**
 * `target` reads as zeros, and is at least as large. Other threads read a chunk while this one writes the one
 * before it; other work goes on between chunks.
 */
export async function copyImage(
  source: DiskImage,
  target: DiskImage,
  options: CopyOptions = {},
): Promise<void> {
  const { compresses = false, signal, onProgress } = options;
  const write =
    compresses && target instanceof Qcow2Image
      ? (chunk: Chunk) => packChunk(target, chunk)
      : async (chunk: Chunk) => writeChunk(target, chunk);
  const chunkBytes = Math.max(CHUNK_BYTES, target.clusterBytes);
  let [buffer, spare] = [new IoBuffer(chunkBytes), new IoBuffer(chunkBytes)];
  let before: Chunk | undefined;
  const writeBefore = async (): Promise<void> => {
    if (before === undefined) return;
    await write(before);
    onProgress?.(before.offset + before.bytes.length);
  };
  for (const { offset, lengthBytes } of chunksWithData(source, chunkBytes)) {
    signal?.throwIfAborted();
    [buffer, spare] = [spare, buffer];
    const bytes = buffer.bytes.subarray(0, lengthBytes);
    await bothDone(readChunk(source, offset, bytes), writeBefore());
    before = { offset, bytes };
    await nextTurn();
  }
  signal?.throwIfAborted();
  await writeBefore();
  onProgress?.(source.sizeBytes);
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

/** They begin at multiples of their size, so that no cluster is written in two pieces. */
function* chunksWithData(
  source: DiskImage,
  chunkBytes: number,
): Generator<{ offset: number; lengthBytes: number }> {
  const extent = newExtent();
  for (let at = 0; at < source.sizeBytes;) {
    const toBoundary = Math.min(chunkBytes - (at % chunkBytes), source.sizeBytes - at);
    const zeros = zerosFrom(source, at, extent);
    if (zeros < toBoundary) {
      yield { offset: at, lengthBytes: toBoundary };
      at += toBoundary;
    } else if (at + zeros === source.sizeBytes) return;
    else at += zeros - ((at + zeros) % chunkBytes);
  }
}

/** How many bytes from here on are zeros for sure: no extent, or a hole of the file that it is in. */
function zerosFrom(source: DiskImage, offset: number, extent: Extent): number {
  source.locate(offset, source.sizeBytes - offset, extent);
  if (extent.kind === EXTENT.ZERO) return extent.lengthBytes;
  if (extent.kind === EXTENT.PACKED) return 0;
  return Math.min(extent.lengthBytes, nextData(extent.fd, extent.fileOffset) - extent.fileOffset);
}

/** All that is read ahead is asked for before this returns. */
async function readChunk(source: DiskImage, offset: number, bytes: Uint8Array): Promise<void> {
  const extent = newExtent();
  const ahead: Promise<void>[] = [];
  for (let done = 0; done < bytes.length; done += extent.lengthBytes) {
    const at = offset + done;
    source.locate(at, bytes.length - done, extent);
    const part = bytes.subarray(done, done + extent.lengthBytes);
    const isAhead =
      extent.kind === EXTENT.DATA && part.length >= LEAST_AHEAD_BYTES && source.alignmentBytes === 1;
    if (isAhead) ahead.push(readExtent(source, at, part, extent));
    else source.read(at, part);
  }
  await Promise.all(ahead);
}

/** What is not read whole, the image reads: it knows what an error is, and what the end of its file. */
async function readExtent(source: DiskImage, at: number, part: Uint8Array, extent: Extent): Promise<void> {
  const count = await readAhead(extent.fd, part, extent.fileOffset);
  if (count < part.length) source.read(at, part);
}

/** Neither goes on when this returns, or throws what the first one that failed has thrown. */
async function bothDone(...work: readonly Promise<void>[]): Promise<void> {
  for (const it of await Promise.allSettled(work)) if (it.status === 'rejected') throw it.reason;
}

/** Writes the runs of blocks that are not zeros. */
function writeChunk(target: DiskImage, { offset, bytes }: Chunk): void {
  const unit = Math.min(target.clusterBytes, bytes.length);
  let start = 0;
  for (let at = 0; at < bytes.length; at += unit) {
    if (bytes[at] !== 0 || !isZero(bytes.subarray(at, at + unit))) continue;
    if (at > start) target.write(offset + start, bytes.subarray(start, at));
    start = at + unit;
  }
  if (start < bytes.length) target.write(offset + start, bytes.subarray(start));
}

async function packChunk(target: Qcow2Image, { offset, bytes }: Chunk): Promise<void> {
  const { clusterBytes } = target;
  for (let at = 0; at < bytes.length;) {
    const clusters: Promise<() => void>[] = [];
    for (; at < bytes.length && clusters.length < PACKED_AT_ONCE; at += clusterBytes)
      clusters.push(packOne(target, offset + at, bytes.subarray(at, at + clusterBytes)));
    for (const write of await Promise.all(clusters)) write();
  }
}

/** Returns what writes it: in the order of the disk, however long each takes to be compressed. */
async function packOne(target: Qcow2Image, offset: number, onDisk: Uint8Array): Promise<() => void> {
  if (isZero(onDisk)) return () => undefined;
  const whole = new Uint8Array(target.clusterBytes);
  whole.set(onDisk);
  const packed = await packCluster(whole);
  return () => (packed === undefined ? target.write(offset, onDisk) : target.writePacked(offset, packed));
}

/**
 * The data of a disk in its order, read by other threads before it is asked for, and without what is zeros
 * for sure. What is adjacent in the file is read at once, however far apart it is on the disk.
 */
import { readAhead, readAt } from '../../kvm/fileIo.ts';
import { IoBuffer } from '../../memory/ioBuffer.ts';
import { type DiskImage, EXTENT, type Extent, newExtent } from './diskImage.ts';
import { SparseExtents } from './sparseExtents.ts';

/** A part of the disk, in memory. */
export interface Piece {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** At least; a batch has whole units. */
const BATCH_BYTES = 2 << 20;
/** One is worked on. As many others are ahead as keep this thread busy while one that reads waits. */
const BATCHES = 4;
/** To hand a shorter read to another thread costs more than it takes. */
const LEAST_AHEAD_BYTES = 32 << 10;

/**
 * Lists of pieces, of whole units: `unitBytes` of the disk, at multiples of it; only the disk's last may be
 * shorter. Their bytes are valid until the next list is asked for. Throws DiskError. No read is under way any
 * more when the generator is done, however it ends.
 */
export async function* piecesOf(
  source: DiskImage,
  unitBytes: number,
): AsyncGenerator<readonly Piece[], undefined> {
  const walk = new DataWalk(source, unitBytes);
  const free = Array.from({ length: BATCHES }, () => new IoBuffer(Math.max(BATCH_BYTES, unitBytes)));
  const ahead: Batch[] = [];
  try {
    for (;;) {
      for (let buffer = free.pop(); buffer !== undefined && !walk.isDone; buffer = free.pop()) {
        const batch = new Batch(source, buffer);
        walk.fill(batch);
        batch.start();
        ahead.push(batch);
      }
      const [batch] = ahead;
      if (batch === undefined) return;
      await batch.isRead;
      yield batch.pieces;
      ahead.shift();
      free.push(batch.buffer);
    }
  } finally {
    await Promise.allSettled(ahead.map((it) => it.isRead));
  }
}

/** Goes through a disk, from one unit that may have data to the next. */
class DataWalk {
  readonly #sizeBytes: number;
  readonly #extents: SparseExtents;
  readonly #unitBytes: number;
  readonly #extent = newExtent();
  #at = 0;

  constructor(source: DiskImage, unitBytes: number) {
    this.#sizeBytes = source.sizeBytes;
    this.#extents = new SparseExtents(source);
    this.#unitBytes = unitBytes;
    this.#skipZeros();
  }

  get isDone(): boolean {
    return this.#at === this.#sizeBytes;
  }

  /** As far as it has room, which is whole units. */
  fill(batch: Batch): void {
    while (!this.isDone && batch.roomBytes > 0) {
      this.#take(batch, Math.min(this.#at + batch.roomBytes, this.#sizeBytes));
      this.#skipZeros();
    }
  }

  #skipZeros(): void {
    while (!this.isDone) {
      const left = this.#sizeBytes - this.#at;
      this.#extents.locate(this.#at, left, this.#extent);
      const { kind, lengthBytes } = this.#extent;
      if (kind !== EXTENT.ZERO) return;
      const skipped = lengthBytes === left ? left : lengthBytes - (lengthBytes % this.#unitBytes);
      if (skipped === 0) return;
      this.#at += skipped;
    }
  }

  /** One piece, which ends at `end`, or before a unit that is all zeros. */
  #take(batch: Batch, end: number): void {
    const start = this.#at;
    const extent = this.#extent;
    for (let isLast = false; this.#at < end && !isLast; this.#at += extent.lengthBytes) {
      this.#extents.locate(this.#at, end - this.#at, extent);
      if (extent.kind === EXTENT.ZERO) {
        const restOfUnit = Math.min(roundUp(this.#at, this.#unitBytes), end) - this.#at;
        isLast = extent.lengthBytes >= Math.min(restOfUnit + this.#unitBytes, end - this.#at);
        if (isLast) extent.lengthBytes = restOfUnit;
      }
      batch.append(this.#at, extent);
    }
    batch.endPiece(start);
  }
}

interface FileRead {
  readonly fd: number;
  readonly fileOffset: number;
  /** In the buffer. */
  readonly start: number;
  lengthBytes: number;
}

/** Pieces in one buffer, one behind the other, and the reads that fill it. */
class Batch {
  readonly buffer: IoBuffer;
  readonly pieces: Piece[] = [];
  isRead: Promise<void> = Promise.resolve();
  readonly #source: DiskImage;
  readonly #reads: FileRead[] = [];
  readonly #packed: Piece[] = [];
  #endOfPieces = 0;
  #end = 0;

  constructor(source: DiskImage, buffer: IoBuffer) {
    this.#source = source;
    this.buffer = buffer;
  }

  get roomBytes(): number {
    return this.buffer.bytes.length - this.#end;
  }

  append(offset: number, { kind, fd, fileOffset, lengthBytes }: Extent): void {
    const start = this.#end;
    this.#end += lengthBytes;
    if (kind === EXTENT.DATA) this.#appendRead({ fd, fileOffset, start, lengthBytes });
    else if (kind === EXTENT.PACKED) this.#packed.push({ offset, bytes: this.#part(start, this.#end) });
    else Buffer.from(this.buffer.memory.buffer, start, lengthBytes).fill(0);
  }

  /** What was appended since the last one is a piece, which begins at `offset` of the disk. */
  endPiece(offset: number): void {
    this.pieces.push({ offset, bytes: this.#part(this.#endOfPieces, this.#end) });
    this.#endOfPieces = this.#end;
  }

  start(): void {
    this.isRead = this.#read();
    this.isRead.catch(() => undefined); // whoever waits for it hears of it
  }

  #appendRead(read: FileRead): void {
    const last = this.#reads.at(-1);
    const isAdjacent =
      last?.fd === read.fd &&
      last.fileOffset + last.lengthBytes === read.fileOffset &&
      last.start + last.lengthBytes === read.start;
    if (isAdjacent) last.lengthBytes += read.lengthBytes;
    else this.#reads.push(read);
  }

  /** All that is read ahead is asked for before this returns. */
  async #read(): Promise<void> {
    const isDirect = this.#source.alignmentBytes > 1;
    if (!isDirect && (await this.#readFiles())) return;
    // it knows what an error is, what the end of a file, and what O_DIRECT wants
    for (const { offset, bytes } of this.pieces) this.#source.read(offset, bytes);
  }

  /** False: something could not be read whole. */
  async #readFiles(): Promise<boolean> {
    const unpacked = this.#packed.map((it) => this.#source.readPackedAhead(it.offset, it.bytes));
    const reads = Promise.all(this.#reads.map((it) => this.#readFile(it)));
    try {
      await allDone(unpacked);
    } finally {
      await reads; // they fail by their result alone
    }
    return (await reads).every((isWhole) => isWhole);
  }

  async #readFile({ fd, fileOffset, start, lengthBytes }: FileRead): Promise<boolean> {
    const into = this.#part(start, start + lengthBytes);
    const read = lengthBytes < LEAST_AHEAD_BYTES ? readAt : readAhead;
    return (await read(fd, into, fileOffset)) === lengthBytes;
  }

  #part(start: number, end: number): Uint8Array {
    return this.buffer.bytes.subarray(start, end);
  }
}

/** None goes on when this returns, or throws what the first one that failed has thrown. */
async function allDone(work: readonly Promise<void>[]): Promise<void> {
  for (const it of await Promise.allSettled(work)) if (it.status === 'rejected') throw it.reason;
}

function roundUp(offset: number, unit: number): number {
  return Math.ceil(offset / unit) * unit;
}

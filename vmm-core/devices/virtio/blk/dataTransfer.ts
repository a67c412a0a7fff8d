/**
 * Moves the data of a request between the guest and the extents of the image. One request at a time is here;
 * transfers that it has started may end later. The thread of the disk.
 */
import { constants } from 'node:os';
import { type DiskImage, EXTENT, type Extent, newExtent } from '../../../backends/disk/diskImage.ts';
import type { Iovecs } from '../../../bus/ioEngine.ts';
import type { ChainCursor } from './chainCursor.ts';
import { NONE, type RequestTable } from './requestTable.ts';

const { EFAULT } = constants.errno;

/** What passes through here does so in pieces. */
const PIECE_BYTES = 1 << 16;

export class DataTransfer {
  readonly #requests: RequestTable;
  readonly #iovecs: Iovecs;
  readonly #cursor: ChainCursor;
  readonly #extent: Extent = newExtent();
  #image: DiskImage;
  /** What is left of the request, in bytes of the disk. */
  #offset = 0;
  #leftBytes = 0;
  /** It is not as O_DIRECT wants it, and the image moves it by itself. */
  #isBounced = false;
  #buffer: Uint8Array | undefined;

  constructor(requests: RequestTable, iovecs: Iovecs, cursor: ChainCursor, image: DiskImage) {
    this.#requests = requests;
    this.#iovecs = iovecs;
    this.#cursor = cursor;
    this.#image = image;
  }

  /** While nothing is under way. */
  setImage(image: DiskImage): void {
    this.#image = image;
  }

  /** The cursor is at the data. True: the request must be alone while it runs. */
  begin(offset: number, lengthBytes: number): boolean {
    this.#offset = offset;
    this.#leftBytes = lengthBytes;
    this.#isBounced = this.#image.alignmentBytes > 1 && !this.#isAligned();
    return this.#isBounced;
  }

  /** False: call it again when something that is under way is done, or a slot is free. Throws DiskError. */
  read(request: number): boolean {
    if (this.#isBounced) return this.#readBounced();
    while (this.#leftBytes > 0 && this.#requests.errnoOf(request) === 0) {
      this.#image.locate(this.#offset, this.#leftBytes, this.#extent);
      if (!this.#readExtent(request)) return false;
      this.#advance();
    }
    return true;
  }

  /** See read. */
  write(request: number): boolean {
    if (this.#isBounced) return this.#writeBounced();
    while (this.#leftBytes > 0 && this.#requests.errnoOf(request) === 0) {
      const slot = this.#requests.slotFor(request);
      if (slot === NONE) return false;
      this.#writeExtent(request, slot, this.#prepareWrite(request, slot));
      this.#advance();
    }
    return true;
  }

  #isAligned(): boolean {
    const unit = this.#image.alignmentBytes;
    const isOnDisk = this.#offset % unit === 0 && this.#leftBytes % unit === 0;
    return isOnDisk && this.#cursor.isAligned(this.#leftBytes, unit);
  }

  #advance(): void {
    this.#offset += this.#extent.lengthBytes;
    this.#leftBytes -= this.#extent.lengthBytes;
  }

  #readExtent(request: number): boolean {
    const { kind, fd, fileOffset, lengthBytes } = this.#extent;
    if (kind === EXTENT.DATA) {
      const slot = this.#requests.slotFor(request);
      if (slot === NONE) return false;
      if (this.#fillRow(request, slot)) this.#requests.read(request, slot, fd, fileOffset);
    } else if (kind === EXTENT.ZERO) this.#cursor.zero(lengthBytes);
    else this.#unpack();
    return true;
  }

  #unpack(): void {
    const { lengthBytes } = this.#extent;
    for (let done = 0; done < lengthBytes; done += PIECE_BYTES) {
      const piece = this.#piece(lengthBytes - done);
      this.#image.readPacked(this.#offset + done, piece);
      this.#cursor.copyIn(piece);
    }
  }

  #readBounced(): true {
    for (let done = 0; done < this.#leftBytes; done += PIECE_BYTES) {
      const piece = this.#piece(this.#leftBytes - done);
      this.#image.read(this.#offset + done, piece);
      this.#cursor.copyIn(piece);
    }
    return true;
  }

  /** What is on the disk around the guest's data is read before and written back: see `begin`. */
  #writeBounced(): true {
    for (let done = 0; done < this.#leftBytes; done += PIECE_BYTES) {
      const piece = this.#piece(this.#leftBytes - done);
      this.#cursor.copyOut(piece);
      this.#image.write(this.#offset + done, piece);
    }
    return true;
  }

  #piece(mostBytes: number): Uint8Array {
    this.#buffer ??= new Uint8Array(PIECE_BYTES);
    return this.#buffer.subarray(0, Math.min(PIECE_BYTES, mostBytes));
  }

  #prepareWrite(request: number, slot: number): boolean {
    try {
      return this.#image.prepareWrite(this.#offset, this.#leftBytes, this.#extent);
    } catch (error) {
      this.#requests.giveBack(request, slot);
      throw error;
    }
  }

  /**
   * To a new place at once, since nothing may come in between; and through the page cache at once, since
   * nothing is faster.
   */
  #writeExtent(request: number, slot: number, isNew: boolean): void {
    const { fd, fileOffset } = this.#extent;
    if (!this.#fillRow(request, slot)) return;
    if (!isNew && this.#image.alignmentBytes > 1) return this.#requests.write(request, slot, fd, fileOffset);
    const errno = this.#requests.writeNow(request, slot, fd, fileOffset);
    if (errno !== 0) this.#requests.fail(request, errno);
    else if (isNew) this.#image.commitWrite();
  }

  /** The guest's memory for the extent. False: it is not memory for I/O, which fails the request. */
  #fillRow(request: number, slot: number): boolean {
    if (this.#cursor.addTo(this.#iovecs, slot, this.#extent.lengthBytes)) return true;
    this.#requests.giveBack(request, slot);
    this.#requests.fail(request, EFAULT);
    return false;
  }
}

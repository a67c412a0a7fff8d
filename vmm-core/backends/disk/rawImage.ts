/** A raw image: the bytes of the disk are those of the file or of the block device. */
import { EINVAL, EROFS } from '../../kvm/errno.ts';
import { DiskError } from './diskError.ts';
import { type DiskImage, EXTENT, type Extent } from './diskImage.ts';
import type { ImageFile } from './imageFile.ts';

export interface RawImageOptions {
  readonly isReadOnly: boolean;
  /** Discards are passed down to the file. */
  readonly discards: boolean;
  /** Fdatasync is of no use: `cache` is unsafe. */
  readonly isUnsafe: boolean;
  /** As it was when it was opened; undefined: as it is. */
  readonly sizeBytes?: number | undefined;
}

/** What discards give back in most file systems. */
const BLOCK_BYTES = 4096;

export class RawImage implements DiskImage {
  readonly format = 'raw';
  readonly mayEndEarly = false;
  readonly clusterBytes = BLOCK_BYTES;
  readonly isReadOnly: boolean;
  readonly #file: ImageFile;
  readonly #options: RawImageOptions;
  #sizeBytes: number;

  constructor(file: ImageFile, options: RawImageOptions) {
    this.#file = file;
    this.#options = options;
    this.isReadOnly = options.isReadOnly;
    this.#sizeBytes = options.sizeBytes ?? file.sizeBytes();
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get alignmentBytes(): number {
    return this.#file.alignmentBytes;
  }

  get fd(): number {
    return this.#file.fd;
  }

  locate(offset: number, lengthBytes: number, extent: Extent): void {
    extent.kind = EXTENT.DATA;
    extent.fd = this.#file.fd;
    extent.fileOffset = offset;
    extent.lengthBytes = lengthBytes;
  }

  readPacked(): void {
    throw new RangeError('a raw image has no compressed clusters');
  }

  readPackedAhead(): Promise<void> {
    return Promise.reject(new RangeError('a raw image has no compressed clusters'));
  }

  read(offset: number, into: Uint8Array): void {
    this.#file.read(into, offset);
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#assertWritable();
    this.#file.write(bytes, offset);
  }

  prepareWrite(offset: number, lengthBytes: number, extent: Extent): boolean {
    this.#assertWritable();
    this.locate(offset, lengthBytes, extent);
    return false;
  }

  commitWrite(): void {
    // nothing is ever new
  }

  discard(offset: number, lengthBytes: number): void {
    this.#assertWritable();
    if (this.#options.discards) this.#file.punch(offset, lengthBytes);
  }

  writeZeroes(offset: number, lengthBytes: number, mayUnmap: boolean): void {
    this.#assertWritable();
    if (mayUnmap && this.#options.discards && this.#file.punch(offset, lengthBytes)) return;
    this.#file.zero(offset, lengthBytes);
  }

  flush(): boolean {
    return !this.isReadOnly && !this.#options.isUnsafe;
  }

  /** The sync that `flush` asks for, on this thread. */
  sync(): void {
    this.#file.sync();
  }

  /** A device has the size that it has: what its owner did to it can be taken over. */
  resize(sizeBytes: number): void {
    this.#assertWritable();
    if (this.#file.maxBytes === Infinity) this.#file.truncate(sizeBytes);
    else if (sizeBytes !== this.#file.sizeBytes())
      throw new DiskError(
        `${this.#file.path} is a device of ${this.#file.sizeBytes()} bytes, which can only be resized by its own tools`,
        EINVAL,
      );
    this.#sizeBytes = sizeBytes;
  }

  close(): void {
    if (this.flush()) this.#file.sync();
    this.#file.close();
  }

  #assertWritable(): void {
    if (this.isReadOnly) throw new DiskError(`${this.#file.path} is open for reading only`, EROFS);
  }
}

/**
 * A file or block device that an image is in, for what an image itself reads and writes: metadata, copies on
 * write, compressed clusters. Blocks the calling thread.
 */
import { closeSync, fstatSync } from 'node:fs';
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  allocateRange,
  readAt,
  syncData,
  truncateTo,
  writeAt,
} from '../../kvm/fileIo.ts';
import { EAGAIN, EINTR, ENOSPC, EOPNOTSUPP } from '../../kvm/errno.ts';
import { IoBuffer } from '../../memory/ioBuffer.ts';
import { deviceBytes } from './blockDevice.ts';
import { ioError } from './diskError.ts';

/** Methods throw DiskError. */
export interface ImageFile {
  readonly fd: number;
  readonly path: string;
  /** Offsets, lengths and addresses of transfers by others are multiples of it: 1, or as O_DIRECT asks. */
  readonly alignmentBytes: number;
  /** Infinity for a file, which grows. */
  readonly maxBytes: number;
  sizeBytes(): number;
  /** What is beyond the end reads as zeros. */
  read(into: Uint8Array, offset: number): void;
  write(bytes: Uint8Array, offset: number): void;
  /** fdatasync. After a failure all that follow fail too: the kernel forgets what it could not write. */
  sync(): void;
  /** Gives the range's place back; it reads as zeros then. False: this file cannot. */
  punch(offset: number, lengthBytes: number): boolean;
  /** The range reads as zeros. */
  zero(offset: number, lengthBytes: number): void;
  truncate(sizeBytes: number): void;
  close(): void;
}

export interface HostFileOptions {
  readonly fd: number;
  readonly path: string;
  /** Of O_DIRECT; 1 without. */
  readonly alignmentBytes: number;
  /** `sync` does nothing: what is lost with the host is lost. */
  readonly isUnsafe: boolean;
}

const BOUNCE_BYTES = 1 << 20;

export class HostFile implements ImageFile {
  readonly fd: number;
  readonly path: string;
  readonly alignmentBytes: number;
  readonly maxBytes: number;
  readonly #isUnsafe: boolean;
  #bounce: IoBuffer | undefined;
  #zeros: IoBuffer | undefined;
  #syncErrno = 0;
  #canPunch = true;
  #canZero = true;

  constructor({ fd, path, alignmentBytes, isUnsafe }: HostFileOptions) {
    this.fd = fd;
    this.path = path;
    this.alignmentBytes = alignmentBytes;
    this.#isUnsafe = isUnsafe;
    this.maxBytes = fstatSync(fd).isBlockDevice() ? this.sizeBytes() : Infinity;
  }

  sizeBytes(): number {
    const stat = fstatSync(this.fd);
    return stat.isBlockDevice() ? deviceBytes(this.fd, this.path) : stat.size;
  }

  read(into: Uint8Array, offset: number): void {
    if (this.#isAligned(into, offset)) this.#readFully(into, offset);
    else
      this.#eachBounce(into.length, offset, (bounce, start, end, at) => {
        this.#readFully(bounce, start);
        into.set(bounce.subarray(at - start, end - start), at - offset);
      });
  }

  write(bytes: Uint8Array, offset: number): void {
    if (this.#isAligned(bytes, offset)) this.#writeFully(bytes, offset);
    else
      this.#eachBounce(bytes.length, offset, (bounce, start, end, at) => {
        this.#readFully(bounce, start);
        bounce.set(bytes.subarray(at - offset, end - offset), at - start);
        this.#writeFully(bounce, start);
      });
  }

  sync(): void {
    if (this.#isUnsafe) return;
    while (this.#syncErrno === 0) {
      const result = syncData(this.fd);
      if (result === 0) return;
      if (result !== -EINTR) this.#syncErrno = -result;
    }
    if (this.#syncErrno !== 0) throw ioError(this.path, 'sync', this.#syncErrno);
  }

  punch(offset: number, lengthBytes: number): boolean {
    if (!this.#canPunch) return false;
    const mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    const result = allocateRange(this.fd, mode, offset, lengthBytes);
    if (result === -EOPNOTSUPP) this.#canPunch = false;
    return result >= 0;
  }

  zero(offset: number, lengthBytes: number): void {
    if (this.#canZero && this.#zeroRange(offset, lengthBytes)) return;
    const { bytes } = (this.#zeros ??= new IoBuffer(BOUNCE_BYTES));
    for (let done = 0; done < lengthBytes; done += bytes.length) {
      const length = Math.min(bytes.length, lengthBytes - done);
      this.write(bytes.subarray(0, length), offset + done);
    }
  }

  truncate(sizeBytes: number): void {
    const result = truncateTo(this.fd, sizeBytes);
    if (result < 0) throw ioError(this.path, 'resize', -result);
  }

  close(): void {
    closeSync(this.fd);
  }

  #zeroRange(offset: number, lengthBytes: number): boolean {
    const result = allocateRange(this.fd, FALLOC_FL_ZERO_RANGE, offset, lengthBytes);
    if (result === -ENOSPC) throw ioError(this.path, 'write', ENOSPC);
    if (result < 0) this.#canZero = false;
    return result >= 0;
  }

  #readFully(into: Uint8Array, offset: number): void {
    for (let done = 0; done < into.length;) {
      const count = readAt(this.fd, done === 0 ? into : into.subarray(done), offset + done);
      if (count > 0) done += count;
      if (count === 0 || (count > 0 && done % this.alignmentBytes !== 0)) {
        into.fill(0, done); // O_DIRECT tells the end by a transfer that is not aligned
        return;
      }
      if (count < 0 && count !== -EINTR && count !== -EAGAIN) throw ioError(this.path, 'read', -count);
    }
  }

  #writeFully(bytes: Uint8Array, offset: number): void {
    for (let done = 0; done < bytes.length;) {
      const count = writeAt(this.fd, done === 0 ? bytes : bytes.subarray(done), offset + done);
      if (count > 0) done += count;
      else if (count === 0) throw ioError(this.path, 'write', ENOSPC);
      else if (count !== -EINTR && count !== -EAGAIN) throw ioError(this.path, 'write', -count);
    }
  }

  #isAligned(bytes: Uint8Array, offset: number): boolean {
    const mask = this.alignmentBytes - 1;
    if (mask === 0) return true;
    // shared memory is WebAssembly's, which begins at a page
    if (!(bytes.buffer instanceof SharedArrayBuffer)) return false;
    return ((bytes.byteOffset | bytes.length | (offset % this.alignmentBytes)) & mask) === 0;
  }

  /** Calls `transfer` with a buffer for each aligned piece, and the part [at, end) that is asked for. */
  #eachBounce(
    lengthBytes: number,
    offset: number,
    transfer: (bounce: Uint8Array, start: number, end: number, at: number) => void,
  ): void {
    this.#bounce ??= new IoBuffer(BOUNCE_BYTES);
    const unit = this.alignmentBytes;
    for (let at = offset; at < offset + lengthBytes;) {
      const start = at - (at % unit);
      const end = Math.min(offset + lengthBytes, start + BOUNCE_BYTES);
      const sizeBytes = Math.ceil((end - start) / unit) * unit;
      transfer(this.#bounce.bytes.subarray(0, sizeBytes), start, end, at);
      at = end;
    }
  }
}

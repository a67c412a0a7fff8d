/**
 * Main's side of a capture: what the device's service tells goes to a file, batch after batch, and the
 * service is told what is written. A full disk ends it; the file has then all whole blocks that fitted.
 */
import { closeSync, constants, ftruncateSync, rmSync, write } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { fileErrorText, openRegularFile } from '../../../client/regularFile.ts';
import { UserError } from '../../../errors.ts';
import { tryLock } from '../../../kvm/libc.ts';
import type { CaptureOptions, CaptureSummary } from '../../backend.ts';
import { type CaptureBatch, CaptureClock } from './capture.ts';
import { blockBytes, type CaptureOrigin, fileHead, type PcapTime, statistics } from './pcapng.ts';

export interface CaptureFileHost {
  /** Batches of which the service may forget. */
  written(batches: number): void;
  /** For the user: why the capture has ended by itself. */
  trouble(sentence: string): void;
}

const CREATE = constants.O_WRONLY | constants.O_CREAT;
/** What a guest says is its owner's business. */
const FILE_MODE = 0o600;

const writeAsync = promisify(write);

export class CaptureFile {
  readonly #options: CaptureOptions;
  readonly #head: Uint8Array;
  readonly #host: CaptureFileHost;
  readonly #clock = new CaptureClock();
  readonly #start: PcapTime = { ...this.#clock.now() };
  readonly #paths: string[] = [];
  readonly #queue: CaptureBatch[] = [];
  #opened = 0;
  /** Of the file that is open, or was last. */
  #path = '';
  #frames = 0;
  #dropped = 0;
  /** -1: there is none any more. */
  #fd = -1;
  /** Of the file, up to the end of a block. */
  #sizeBytes = 0;
  #work: Promise<void> | undefined;

  /** Replaces the file. Throws UserError. */
  constructor(options: CaptureOptions, origin: CaptureOrigin, host: CaptureFileHost) {
    this.#options = options;
    this.#head = fileHead(origin);
    this.#host = host;
    try {
      this.#open();
    } catch (error) {
      throw new UserError(
        `the capture cannot be written to "${options.path}" (${fileErrorText(error)}): name a file that can be`,
        { cause: error },
      );
    }
  }

  /** In the order they are told. */
  add(batch: CaptureBatch): void {
    this.#queue.push(batch);
    this.#work ??= this.#writeAll();
  }

  /** The service has told its last batch. Resolves once all is written. */
  async end(): Promise<CaptureSummary> {
    await this.#work;
    await this.#guard(() => this.#finish());
    return { frames: this.#frames, dropped: this.#dropped, paths: this.#paths };
  }

  async #writeAll(): Promise<void> {
    for (let batch = this.#queue.shift(); batch !== undefined; batch = this.#queue.shift()) {
      this.#dropped += batch.dropped;
      const before = this.#frames;
      await this.#guard(() => this.#writeBatch(batch));
      this.#dropped += batch.frames - (this.#frames - before);
      this.#host.written(1);
    }
    this.#work = undefined;
  }

  async #writeBatch({ bytes, frames }: CaptureBatch): Promise<void> {
    const { rotateBytes = Infinity } = this.#options;
    let left = frames;
    for (let rest = bytes; rest.length > 0;) {
      if (this.#sizeBytes === 0) await this.#write(this.#head);
      const fitting = wholeBlocks(rest, rotateBytes - this.#sizeBytes);
      if (fitting === 0 && this.#sizeBytes > this.#head.length) {
        await this.#rotate();
        continue;
      }
      const part = rest.subarray(0, Math.max(fitting, blockBytes(rest, 0)));
      const before = this.#sizeBytes;
      try {
        await this.#write(part);
      } finally {
        const done = rest.subarray(0, this.#sizeBytes - before);
        rest = rest.subarray(done.length);
        // The end of a file says how many frames there were so far: those of this part are among them.
        const written = rest.length === 0 ? left : blocksIn(done);
        this.#frames += written;
        left -= written;
      }
    }
  }

  async #rotate(): Promise<void> {
    await this.#finish();
    this.#open();
    const { files = Infinity } = this.#options;
    while (this.#paths.length > files) rmSync(this.#paths.shift() ?? '', { force: true });
  }

  /** The file gets its end; an empty one its beginning. */
  async #finish(): Promise<void> {
    if (this.#sizeBytes === 0) await this.#write(this.#head);
    const [start, end] = [this.#start, this.#clock.now()];
    await this.#write(
      statistics({ start, end, frames: this.#frames + this.#dropped, dropped: this.#dropped }),
    );
    this.#close();
  }

  /** Whole blocks. Those that were written before an error are in the file, too. */
  async #write(bytes: Uint8Array): Promise<void> {
    let done = 0;
    try {
      while (done < bytes.length) {
        const at = this.#sizeBytes + done;
        done += (await writeAsync(this.#fd, bytes, done, bytes.length - done, at)).bytesWritten;
      }
    } finally {
      this.#sizeBytes += wholeBlocks(bytes, done);
    }
  }

  /** It may have failed before: then there is no file any more. */
  async #guard(perform: () => Promise<void>): Promise<void> {
    if (this.#fd < 0) return;
    try {
      await perform();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (this.#fd >= 0) {
      try {
        ftruncateSync(this.#fd, this.#sizeBytes);
      } catch {
        // A file that cannot be cut either ends in half a block: readers say so, and show what is before.
      }
      this.#close();
    }
    this.#host.trouble(
      `the capture has ended: "${this.#path}" cannot be written (${fileErrorText(error)}); what is in it so far can be read`,
    );
  }

  #open(): void {
    this.#path = pathOf(this.#options.path, this.#opened++);
    this.#fd = openOwn(this.#path);
    this.#sizeBytes = 0;
    this.#paths.push(this.#path);
  }

  #close(): void {
    closeSync(this.#fd);
    this.#fd = -1;
  }
}

/**
 * Empty, and locked until it is closed: what two captures write to one file is no capture. Throws what
 * fileErrorText makes a sentence of.
 */
function openOwn(name: string): number {
  const { fd } = openRegularFile(name, CREATE, FILE_MODE);
  try {
    if (!tryLock(fd)) throw new Error('another capture writes to it');
    ftruncateSync(fd);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** The n-th file, from 0, of a capture that is rotated. */
function pathOf(first: string, number: number): string {
  if (number === 0) return first;
  const { dir, name, ext } = path.parse(first);
  return path.join(dir, `${name}-${number}${ext}`);
}

/** How many bytes of blocks fit into so many. */
function wholeBlocks(blocks: Uint8Array, roomBytes: number): number {
  if (blocks.length <= roomBytes) return blocks.length;
  let at = 0;
  while (at + blockBytes(blocks, at) <= roomBytes) at += blockBytes(blocks, at);
  return at;
}

function blocksIn(blocks: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < blocks.length; at += blockBytes(blocks, at)) count++;
  return count;
}

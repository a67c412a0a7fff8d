/**
 * A file of an image in memory that records what was written and synced, and what it may be after the host
 * lost power: all up to the last sync, and any part of what came later, sector by sector.
 */
import { DiskError } from '../../vmm-core/backends/disk/diskError.ts';
import { SECTOR_BYTES } from '../../vmm-core/backends/disk/diskImage.ts';
import type { ImageFile } from '../../vmm-core/backends/disk/imageFile.ts';
import { ENOSPC } from '../../vmm-core/kvm/errno.ts';

export type Recorded =
  | { readonly kind: 'write'; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'zero'; readonly offset: number; readonly lengthBytes: number }
  | { readonly kind: 'truncate'; readonly sizeBytes: number }
  | { readonly kind: 'sync' }
  /** What the test did: see `mark`. */
  | { readonly kind: 'mark'; readonly step: number };

export class RecordedFile implements ImageFile {
  readonly fd: number;
  readonly path = 'recorded';
  readonly alignmentBytes = 1;
  readonly maxBytes = Infinity;
  readonly log: Recorded[] = [];
  /** Writes beyond it fail. */
  limitBytes = Infinity;
  readonly #content: Content;

  /** `fd` tells those of one image apart. */
  constructor(content: Uint8Array = new Uint8Array(0), fd = -1) {
    this.fd = fd;
    this.#content = new Content(content);
  }

  get bytes(): Uint8Array {
    return this.#content.bytes;
  }

  mark(step: number): void {
    this.log.push({ kind: 'mark', step });
  }

  sizeBytes(): number {
    return this.#content.bytes.length;
  }

  read(into: Uint8Array, offset: number): void {
    const { bytes } = this.#content;
    const part = bytes.subarray(Math.min(offset, bytes.length), Math.min(offset + into.length, bytes.length));
    into.fill(0).set(part);
  }

  write(bytes: Uint8Array, offset: number): void {
    if (offset + bytes.length > this.limitBytes) throw new DiskError('recorded: no space', ENOSPC);
    this.#do({ kind: 'write', offset, bytes: Uint8Array.from(bytes) });
  }

  sync(): void {
    this.log.push({ kind: 'sync' });
  }

  punch(offset: number, lengthBytes: number): boolean {
    this.#do({
      kind: 'zero',
      offset,
      lengthBytes: Math.min(lengthBytes, Math.max(0, this.sizeBytes() - offset)),
    });
    return true;
  }

  zero(offset: number, lengthBytes: number): void {
    if (offset + lengthBytes > this.limitBytes) throw new DiskError('recorded: no space', ENOSPC);
    this.#do({ kind: 'zero', offset, lengthBytes });
  }

  truncate(sizeBytes: number): void {
    this.#do({ kind: 'truncate', sizeBytes });
  }

  close(): void {
    // the bytes stay, for whoever looks at them
  }

  #do(entry: Recorded): void {
    this.log.push(entry);
    this.#content.apply(entry);
  }
}

/** Files as they may be after cuts at growing places of the log. */
export class CutFiles {
  readonly #log: readonly Recorded[];
  readonly #synced: Content;
  /** What of the log is in `#synced`. */
  #at = 0;

  constructor(start: Uint8Array, log: readonly Recorded[]) {
    this.#synced = new Content(start);
    this.#log = log;
  }

  /** Power is lost after `end` entries of the log. */
  cutAt(end: number, random: () => number): Uint8Array {
    const lastSync = this.#log.slice(0, end).findLastIndex((it) => it.kind === 'sync') + 1;
    for (; this.#at < lastSync; this.#at++) this.#synced.apply(this.#log[this.#at] as Recorded);
    const content = new Content(this.#synced.bytes);
    const share = random(); // all from none to everything
    for (const entry of this.#log.slice(this.#at, end))
      for (const part of sectorsOf(entry)) if (random() < share) content.apply(part);
    return content.bytes;
  }
}

class Content {
  bytes: Uint8Array;
  #buffer: Uint8Array;

  constructor(start: Uint8Array) {
    this.#buffer = Uint8Array.from(start);
    this.bytes = this.#buffer;
  }

  apply(entry: Recorded): void {
    switch (entry.kind) {
      case 'write':
        this.#resize(Math.max(this.bytes.length, entry.offset + entry.bytes.length));
        this.bytes.set(entry.bytes, entry.offset);
        break;
      case 'zero':
        this.#resize(Math.max(this.bytes.length, entry.offset + entry.lengthBytes));
        this.bytes.fill(0, entry.offset, entry.offset + entry.lengthBytes);
        break;
      case 'truncate':
        this.#resize(entry.sizeBytes);
        break;
      case 'sync':
      case 'mark':
        break;
    }
  }

  #resize(sizeBytes: number): void {
    if (sizeBytes > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(sizeBytes, this.#buffer.length * 2));
      larger.set(this.bytes);
      this.#buffer = larger;
    }
    if (sizeBytes < this.bytes.length) this.#buffer.fill(0, sizeBytes, this.bytes.length);
    this.bytes = this.#buffer.subarray(0, sizeBytes);
  }
}

/** A sector is written whole or not at all; neighbours have nothing to do with each other. */
function sectorsOf(entry: Recorded): Recorded[] {
  if (entry.kind !== 'write' && entry.kind !== 'zero') return [entry];
  const lengthBytes = entry.kind === 'write' ? entry.bytes.length : entry.lengthBytes;
  const parts: Recorded[] = [];
  for (let done = 0; done < lengthBytes;) {
    const offset = entry.offset + done;
    const length = Math.min(lengthBytes - done, SECTOR_BYTES - (offset % SECTOR_BYTES));
    parts.push(
      entry.kind === 'write'
        ? { kind: 'write', offset, bytes: entry.bytes.subarray(done, done + length) }
        : { kind: 'zero', offset, lengthBytes: length },
    );
    done += length;
  }
  return parts;
}

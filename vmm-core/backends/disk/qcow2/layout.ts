/**
 * Where the tables of an open qcow2 image are, and what all parts of it share. The image's header is written
 * here only.
 */
import {
  QCOW2_AUTOCLEAR_FEATURES,
  QCOW2_INCOMPATIBLE_FEATURES,
  QCOW2_INCOMPAT_CORRUPT_BITNR,
  QCOW2_INCOMPAT_DIRTY_BITNR,
  QCOW2_L1_SIZE,
  QCOW2_REFCOUNT_TABLE_CLUSTERS,
  QCOW2_REFCOUNT_TABLE_OFFSET,
  QCOW2_SIZE,
} from '../../../abi/qcow2.ts';
import { CorruptError, type DiskError } from '../diskError.ts';
import type { ImageFile } from '../imageFile.ts';
import { writeU64 } from './entry.ts';
import { bit, type Qcow2Header } from './header.ts';

export class Layout {
  readonly file: ImageFile;
  readonly header: Qcow2Header;
  readonly clusterBytes: number;
  readonly isReadOnly: boolean;
  /** Clusters from here on were never written, and read as zeros. */
  freshFrom: number;
  /** Offsets of the clusters that data must not be written to: the tables in use. */
  readonly metadata = new Set<number>();
  #isDirty: boolean;
  #isCorrupt: boolean;
  #autoclear: bigint;

  constructor(file: ImageFile, header: Qcow2Header, isReadOnly: boolean) {
    this.file = file;
    this.header = header;
    this.isReadOnly = isReadOnly;
    this.clusterBytes = 2 ** header.clusterBits;
    // what a block device has behind the image is not zeros
    this.freshFrom = file.maxBytes === Infinity ? Math.ceil(file.sizeBytes() / this.clusterBytes) : Infinity;
    this.#isDirty = header.isDirty;
    this.#isCorrupt = header.isCorrupt;
    this.#autoclear = header.autoclearFeatures;
    this.metadata.add(0);
  }

  get isCorrupt(): boolean {
    return this.#isCorrupt;
  }

  get isDirty(): boolean {
    return this.#isDirty;
  }

  /** Clusters before this one may have been written. */
  usedUpTo(cluster: number): void {
    if (cluster > this.freshFrom) this.freshFrom = cluster;
  }

  addTable(offset: number, sizeBytes: number): void {
    for (let at = 0; at < sizeBytes; at += this.clusterBytes) this.metadata.add(offset + at);
  }

  removeTable(offset: number, sizeBytes: number): void {
    for (let at = 0; at < sizeBytes; at += this.clusterBytes) this.metadata.delete(offset + at);
  }

  /**
   * A table that the image has when it is opened. Throws CorruptError when it is where another one is, which
   * a write would destroy; reading harms nothing.
   */
  claimTable(offset: number, sizeBytes: number): void {
    for (let at = 0; at < sizeBytes && !this.isReadOnly; at += this.clusterBytes)
      if (this.metadata.has(offset + at))
        throw new CorruptError(this.file.path, `two tables are at 0x${(offset + at).toString(16)}`);
    this.addTable(offset, sizeBytes);
  }

  /** A check has found nothing that is wrong. */
  clearCorrupt(): void {
    this.#isCorrupt = false;
    this.#writeFeatures();
    this.file.sync();
  }

  /** Refuses the image from now on, and lets others know. The error is for the caller to throw. */
  corruption(what: string): DiskError {
    if (!this.#isCorrupt && !this.isReadOnly) {
      this.#isCorrupt = true;
      this.#writeFeatures();
    }
    return new CorruptError(this.file.path, what);
  }

  /**
   * Before the first write: no feature stays announced that we do not keep up, and with lazy refcounts others
   * must know that the image is not closed in order.
   */
  beginWriting(): void {
    this.#autoclear = 0n;
    this.setDirty(this.#isDirty || this.header.hasLazyRefcounts);
  }

  setDirty(isDirty: boolean): void {
    this.#isDirty = isDirty;
    if (this.header.version === 2) return;
    this.#writeFeatures();
    this.file.sync();
  }

  writeRefcountTable(offset: number, clusters: number): void {
    const bytes = new Uint8Array(12);
    const view = new DataView(bytes.buffer);
    writeU64(view, 0, offset);
    view.setUint32(QCOW2_REFCOUNT_TABLE_CLUSTERS - QCOW2_REFCOUNT_TABLE_OFFSET, clusters);
    this.file.write(bytes, QCOW2_REFCOUNT_TABLE_OFFSET);
  }

  writeL1Table(offset: number, entries: number): void {
    const bytes = new Uint8Array(12);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, entries);
    writeU64(view, 4, offset);
    this.file.write(bytes, QCOW2_L1_SIZE);
  }

  writeSize(sizeBytes: number): void {
    const bytes = new Uint8Array(8);
    writeU64(new DataView(bytes.buffer), 0, sizeBytes);
    this.file.write(bytes, QCOW2_SIZE);
  }

  /** Other features are as they were: an image with any that we do not know is not opened. */
  #writeFeatures(): void {
    if (this.header.version === 2) return;
    const start = new Uint8Array(8);
    this.file.read(start, QCOW2_INCOMPATIBLE_FEATURES);
    const view = new DataView(start.buffer);
    let features =
      view.getBigUint64(0) & ~(bit(QCOW2_INCOMPAT_DIRTY_BITNR) | bit(QCOW2_INCOMPAT_CORRUPT_BITNR));
    if (this.#isDirty) features |= bit(QCOW2_INCOMPAT_DIRTY_BITNR);
    if (this.#isCorrupt) features |= bit(QCOW2_INCOMPAT_CORRUPT_BITNR);
    view.setBigUint64(0, features);
    this.file.write(start, QCOW2_INCOMPATIBLE_FEATURES);
    view.setBigUint64(0, this.#autoclear);
    this.file.write(start, QCOW2_AUTOCLEAR_FEATURES);
  }
}

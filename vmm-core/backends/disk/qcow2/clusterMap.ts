/**
 * The two-level table from a cluster of the disk to its place in a qcow2 image. L1 is in memory, slices of L2
 * tables in a cache of fixed size.
 *
 * On disk an entry never refers to what is not there yet: `write` is called after a sync of the clusters and
 * the refcounts that entries refer to, and new L2 tables are written, as zeros or as the copy they begin as,
 * when they are made.
 */
import {
  QCOW2_ENTRY_BYTES,
  QCOW2_OFFSET_HIGH,
  QCOW2_OFFSET_LOW,
  QCOW_OFLAG_COPIED_HIGH,
} from '../../../abi/qcow2.ts';
import { CorruptError } from '../diskError.ts';
import { SECTOR_BYTES } from '../diskImage.ts';
import { entryOffset, highHalf, lowHalf } from './entry.ts';
import { l1EntriesFor } from './header.ts';
import type { Layout } from './layout.ts';
import type { Refcounts } from './refcounts.ts';
import { MAX_SLICE_BYTES, TableCache } from './tableCache.ts';

export interface ClusterMapOptions {
  readonly cacheBytes: number;
  /** Syncs what entries refer to, so that they may be written. */
  readonly beforeWrite: () => void;
  /** One reference to this cluster goes when the map is on disk. */
  readonly dropped: (cluster: number) => void;
}

export class ClusterMap {
  /** Of L2 slices, for entries by their position. */
  readonly view: DataView;
  /** Clusters that one slice maps. */
  readonly perSlice: number;
  readonly #layout: Layout;
  readonly #refcounts: Refcounts;
  readonly #options: ClusterMapOptions;
  readonly #sliceBytes: number;
  readonly #perTable: number;
  readonly #cache: TableCache;
  #l1: DataView;
  #l1Offset: number;
  readonly #dirtyL1 = new Set<number>();

  constructor(layout: Layout, refcounts: Refcounts, options: ClusterMapOptions) {
    const { clusterBytes, file, header } = layout;
    this.#layout = layout;
    this.#refcounts = refcounts;
    this.#options = options;
    this.#sliceBytes = Math.min(clusterBytes, MAX_SLICE_BYTES);
    this.perSlice = this.#sliceBytes / QCOW2_ENTRY_BYTES;
    this.#perTable = clusterBytes / QCOW2_ENTRY_BYTES;
    const beforeEviction = (): void => this.#writeAll();
    this.#cache = new TableCache({
      file,
      sliceBytes: this.#sliceBytes,
      sizeBytes: options.cacheBytes,
      beforeEviction,
    });
    this.view = this.#cache.view;
    this.#l1Offset = header.l1Offset;
    this.#l1 = this.#readL1(header.l1Size);
  }

  /** Position of the entry of this cluster of the disk; -1: it has none, and so no place. */
  find(cluster: number): number {
    const key = Math.floor(cluster / this.perSlice);
    let slice = this.#cache.find(key);
    if (slice < 0) {
      const table = this.#tableOffset(Math.floor(cluster / this.#perTable));
      if (table === 0) return -1;
      slice = this.#cache.load(key, table + this.#inTable(cluster));
    }
    return slice + (cluster % this.perSlice) * QCOW2_ENTRY_BYTES;
  }

  /** The same for an entry that changes: its L2 table is there, and the active disk's alone. */
  findToChange(cluster: number): number {
    const index = Math.floor(cluster / this.#perTable);
    if (!this.#isOwnTable(index)) this.#makeTable(index);
    return this.find(cluster);
  }

  high(position: number): number {
    return this.view.getUint32(position);
  }

  low(position: number): number {
    return this.view.getUint32(position + 4);
  }

  change(position: number, high: number, low: number): void {
    this.view.setUint32(position, high);
    this.view.setUint32(position + 4, low);
    this.#cache.touch(position - (position % this.#sliceBytes));
  }

  get isDirty(): boolean {
    return this.#cache.isDirty || this.#dirtyL1.size > 0;
  }

  /** In any order: every entry is valid by itself, and what it refers to is on disk. */
  write(): void {
    this.#cache.writeDirty();
    for (const sector of this.#dirtyL1) {
      const start = sector * SECTOR_BYTES;
      const length = Math.min(SECTOR_BYTES, this.#l1.byteLength - start);
      this.#layout.file.write(new Uint8Array(this.#l1.buffer, start, length), this.#l1Offset + start);
    }
    this.#dirtyL1.clear();
  }

  /** Whether clusters from `cluster` to the end of its L2 table have none: so many need no look. */
  unmappedFrom(cluster: number): number {
    const isMapped = this.#tableOffset(Math.floor(cluster / this.#perTable)) !== 0;
    return isMapped ? 0 : this.#perTable - (cluster % this.#perTable);
  }

  /** L1 gets as many entries as a disk of this size needs. The map is on disk, and synced. */
  growTo(sizeBytes: number): void {
    const { clusterBytes, file, header } = this.#layout;
    const entries = l1EntriesFor(sizeBytes, header.clusterBits);
    const oldBytes = this.#l1.byteLength;
    if (entries * QCOW2_ENTRY_BYTES <= oldBytes) return;
    const bytes = new Uint8Array(Math.ceil((entries * QCOW2_ENTRY_BYTES) / clusterBytes) * clusterBytes);
    bytes.set(new Uint8Array(this.#l1.buffer));
    const first = this.#refcounts.allocate(bytes.length / clusterBytes);
    const offset = first * clusterBytes;
    file.write(bytes, offset);
    this.#layout.usedUpTo(first + bytes.length / clusterBytes);
    this.#refcounts.write();
    file.sync();
    this.#layout.writeL1Table(offset, entries);
    this.#layout.removeTable(this.#l1Offset, oldBytes);
    for (let at = 0; at < oldBytes; at += clusterBytes)
      this.#options.dropped((this.#l1Offset + at) / clusterBytes);
    this.#l1 = new DataView(bytes.buffer, 0, entries * QCOW2_ENTRY_BYTES);
    this.#l1Offset = offset;
    this.#layout.addTable(offset, bytes.length);
  }

  #readL1(entries: number): DataView {
    const { clusterBytes, file } = this.#layout;
    const sizeBytes = entries * QCOW2_ENTRY_BYTES;
    if (entries > 0 && this.#l1Offset + sizeBytes > file.sizeBytes() + clusterBytes)
      throw new CorruptError(file.path, 'its L1 table is beyond the end of the file');
    const bytes = new Uint8Array(sizeBytes);
    file.read(bytes, this.#l1Offset);
    this.#layout.claimTable(this.#l1Offset, sizeBytes);
    const view = new DataView(bytes.buffer);
    for (let index = 0; index < entries; index++) {
      const offset = entryOffset(view.getUint32(index * 8), view.getUint32(index * 8 + 4));
      if (offset > 0 && offset % clusterBytes === 0) this.#layout.claimTable(offset, clusterBytes);
    }
    return view;
  }

  /** 0: there is none. */
  #tableOffset(index: number): number {
    const at = index * QCOW2_ENTRY_BYTES;
    if (at >= this.#l1.byteLength) return 0;
    const high = this.#l1.getUint32(at);
    const low = this.#l1.getUint32(at + 4);
    if (((high & QCOW2_OFFSET_HIGH) | (low & QCOW2_OFFSET_LOW)) === 0) return 0;
    const offset = entryOffset(high, low);
    if (!(offset % this.#layout.clusterBytes === 0))
      throw this.#layout.corruption(`entry ${index} of its L1 table is not the offset of a cluster`);
    return offset;
  }

  #isOwnTable(index: number): boolean {
    const at = index * QCOW2_ENTRY_BYTES;
    return this.#tableOffset(index) !== 0 && (this.#l1.getUint32(at) & QCOW_OFLAG_COPIED_HIGH) !== 0;
  }

  #inTable(cluster: number): number {
    return Math.floor((cluster % this.#perTable) / this.perSlice) * this.#sliceBytes;
  }

  /** A new L2 table: empty, or a copy of the one that is shared with a snapshot. */
  #makeTable(index: number): void {
    const { clusterBytes, file } = this.#layout;
    const shared = this.#tableOffset(index);
    const { freshFrom } = this.#layout;
    const cluster = this.#refcounts.allocate(1);
    const offset = cluster * clusterBytes;
    try {
      if (shared !== 0) this.#copyTable(shared, offset);
      else if (cluster < freshFrom) file.zero(offset, clusterBytes);
      else file.write(new Uint8Array(SECTOR_BYTES), offset + clusterBytes - SECTOR_BYTES);
    } catch (error) {
      this.#refcounts.release(cluster);
      throw error;
    }
    this.#layout.usedUpTo(cluster + 1);
    this.#forgetSlices(index);
    this.#l1.setUint32(index * QCOW2_ENTRY_BYTES, highHalf(offset, QCOW_OFLAG_COPIED_HIGH));
    this.#l1.setUint32(index * QCOW2_ENTRY_BYTES + 4, lowHalf(offset));
    this.#dirtyL1.add(Math.floor((index * QCOW2_ENTRY_BYTES) / SECTOR_BYTES));
    this.#layout.addTable(offset, clusterBytes);
    if (shared === 0) return;
    this.#layout.removeTable(shared, clusterBytes);
    this.#options.dropped(shared / clusterBytes);
  }

  #copyTable(from: number, to: number): void {
    const { clusterBytes, file } = this.#layout;
    const table = new Uint8Array(clusterBytes);
    file.read(table, from);
    file.write(table, to);
  }

  #forgetSlices(index: number): void {
    const slices = this.#perTable / this.perSlice;
    for (let key = index * slices; key < (index + 1) * slices; key++) this.#cache.forget(key);
  }

  #writeAll(): void {
    this.#options.beforeWrite();
    this.write();
  }
}

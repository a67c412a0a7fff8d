/**
 * How often each cluster of a qcow2 image is referred to: a table of blocks, each a cluster of refcounts of 1
 * to 64 bits. Also finds clusters that are free.
 *
 * A refcount too high is a leak, one too low loses data. So one may be raised at any time and is on disk
 * before what refers to the cluster (`write`, then a sync); it is lowered when what referred to the cluster
 * is gone from the disk.
 */
import { QCOW2_ENTRY_BYTES, QCOW2_MAX_REFTABLE_BYTES, QCOW2_OFFSET_LOW } from '../../../abi/qcow2.ts';
import { EFBIG, ENOSPC } from '../../../kvm/errno.ts';
import { CorruptError, ioError } from '../diskError.ts';
import { readU64, writeU64 } from './entry.ts';
import type { Layout } from './layout.ts';
import { readRefcount, writeRefcount } from './refcountWidth.ts';
import { MAX_SLICE_BYTES, TableCache } from './tableCache.ts';

const CACHE_BYTES = 256 << 10;
/** New tables have room for half as many blocks again. */
const TABLE_GROWTH = 1.5;

export class Refcounts {
  readonly max: number;
  readonly #layout: Layout;
  readonly #order: number;
  readonly #sliceBytes: number;
  readonly #perSlice: number;
  readonly #perBlock: number;
  readonly #cache: TableCache;
  /** Offsets of the blocks; 0: there is none, all its refcounts are 0. */
  #table: Float64Array;
  #tableOffset: number;
  /** Where the search for free clusters goes on. What is smaller than what was asked for stays behind it. */
  #searchFrom = 0;

  constructor(layout: Layout) {
    const { clusterBytes, file, header } = layout;
    this.#layout = layout;
    this.#order = header.refcountOrder;
    this.max = Math.min(2 ** (2 ** this.#order) - 1, Number.MAX_SAFE_INTEGER);
    this.#sliceBytes = Math.min(clusterBytes, MAX_SLICE_BYTES);
    this.#perSlice = (this.#sliceBytes * 8) / 2 ** this.#order;
    this.#perBlock = (clusterBytes * 8) / 2 ** this.#order;
    this.#cache = new TableCache({ file, sliceBytes: this.#sliceBytes, sizeBytes: CACHE_BYTES });
    this.#tableOffset = header.refcountTableOffset;
    this.#table = this.#readTable(header.refcountTableClusters);
    layout.claimTable(this.#tableOffset, this.#table.length * QCOW2_ENTRY_BYTES);
    for (const block of this.#table) if (block !== 0) layout.claimTable(block, clusterBytes);
  }

  get table(): { readonly offset: number; readonly blocks: Float64Array } {
    return { offset: this.#tableOffset, blocks: this.#table };
  }

  get(cluster: number): number {
    const position = this.#position(cluster);
    if (position < 0) return 0;
    return readRefcount(this.#cache.view, position, cluster % this.#perSlice, this.#order);
  }

  /** The cluster's block exists: see `cover`. */
  set(cluster: number, count: number): void {
    const position = this.#position(cluster);
    if (position < 0) throw new RangeError(`cluster ${cluster} has no refcount block`);
    writeRefcount(this.#cache.view, position, cluster % this.#perSlice, this.#order, count);
    this.#cache.touch(position);
    if (count === 0 && cluster < this.#searchFrom) this.#searchFrom = cluster;
  }

  /** One reference to the cluster is gone from the disk, or never was there. True: it was the last. */
  release(cluster: number): boolean {
    const count = this.get(cluster);
    if (count === 0) throw this.#layout.corruption(`cluster ${cluster} is in use, and its refcount is 0`);
    this.set(cluster, count - 1);
    return count === 1;
  }

  /**
   * The first of `count` adjacent clusters, which have one reference each now. Throws DiskError: ENOSPC on a
   * full device.
   */
  allocate(count: number): number {
    const first = this.#findFree(count);
    this.#assertNoTable(first, count);
    for (let cluster = first; cluster < first + count; cluster++) this.set(cluster, 1);
    this.#searchFrom = first + count;
    return first;
  }

  /** Makes blocks for clusters up to this one. They are on disk when this returns. */
  cover(cluster: number): void {
    const block = Math.floor(cluster / this.#perBlock);
    while (this.#blockOffset(block) === 0) this.#makeBlock(block);
  }

  /** No cluster is free before this one, whatever its refcount: for repairs, while refcounts are wrong. */
  startAllocatingAt(cluster: number): void {
    this.#searchFrom = cluster;
  }

  get isDirty(): boolean {
    return this.#cache.isDirty;
  }

  write(): void {
    this.#cache.writeDirty();
  }

  #readTable(clusters: number): Float64Array {
    const { clusterBytes, file } = this.#layout;
    const sizeBytes = clusters * clusterBytes;
    if (this.#tableOffset + sizeBytes > file.sizeBytes() + clusterBytes)
      throw new CorruptError(file.path, 'its refcount table is beyond the end of the file');
    const bytes = new Uint8Array(sizeBytes);
    file.read(bytes, this.#tableOffset);
    const view = new DataView(bytes.buffer);
    const table = new Float64Array(sizeBytes / QCOW2_ENTRY_BYTES);
    const words = new Uint32Array(bytes.buffer); // nearly all are 0: a new image has room for many blocks
    for (let index = 0; index < table.length; index++)
      if (words[2 * index] !== 0 || words[2 * index + 1] !== 0) table[index] = this.#entryAt(view, index);
    return table;
  }

  #entryAt(view: DataView, index: number): number {
    view.setUint32(index * 8 + 4, view.getUint32(index * 8 + 4) & QCOW2_OFFSET_LOW);
    const offset = readU64(view, index * 8);
    if (!(offset % this.#layout.clusterBytes === 0))
      throw new CorruptError(
        this.#layout.file.path,
        `entry ${index} of its refcount table is not the offset of a cluster`,
      );
    return offset;
  }

  #blockOffset(block: number): number {
    return this.#table[block] ?? 0;
  }

  /** Of the slice that has this cluster's refcount; -1: there is no block. */
  #position(cluster: number): number {
    const key = Math.floor(cluster / this.#perSlice);
    const found = this.#cache.find(key);
    if (found >= 0) return found;
    const block = this.#blockOffset(Math.floor(cluster / this.#perBlock));
    if (block === 0) return -1;
    const inBlock = Math.floor((cluster % this.#perBlock) / this.#perSlice);
    return this.#cache.load(key, block + inBlock * this.#sliceBytes);
  }

  /** The first of `count` free clusters that have blocks. */
  #findFree(count: number): number {
    for (;;) {
      const first = this.#scan(count);
      const blocks = [first, first + count - 1].map((it) => Math.floor(it / this.#perBlock));
      let missing = blocks[0] ?? 0;
      const last = blocks[1] ?? 0;
      while (missing <= last && this.#blockOffset(missing) !== 0) missing++;
      if (missing > last) return first;
      this.#makeBlock(missing); // it may take one of the clusters
    }
  }

  #scan(count: number): number {
    const { clusterBytes, file } = this.#layout;
    while (this.get(this.#searchFrom) !== 0) this.#searchFrom++;
    let first = this.#searchFrom;
    for (let found = 0; found < count;) {
      if (this.get(first + found) === 0) found++;
      else {
        first += found + 1;
        found = 0;
      }
    }
    if ((first + count) * clusterBytes > file.maxBytes) throw ioError(file.path, 'write', ENOSPC);
    return first;
  }

  /** A refcount that is lost must not cost a table, or the header. */
  #assertNoTable(first: number, count: number): void {
    const { clusterBytes, metadata } = this.#layout;
    for (let cluster = first; cluster < first + count; cluster++)
      if (metadata.has(cluster * clusterBytes))
        throw this.#layout.corruption(`cluster ${cluster} has a table, and its refcount is 0`);
  }

  /** Makes this block, or one that must come first because the place for this one is in it. */
  #makeBlock(wanted: number): void {
    const { clusterBytes, file } = this.#layout;
    const cluster = this.#scan(1);
    const own = Math.floor(cluster / this.#perBlock);
    const block = this.#blockOffset(own) === 0 ? own : wanted;
    if (block >= this.#table.length) return this.#growTable(block);
    this.#assertNoTable(cluster, 1);
    const content = new Uint8Array(clusterBytes);
    if (block === own)
      writeRefcount(new DataView(content.buffer), 0, cluster % this.#perBlock, this.#order, 1);
    file.write(content, cluster * clusterBytes);
    this.#layout.usedUpTo(cluster + 1);
    if (block !== own) this.set(cluster, 1);
    this.write();
    file.sync(); // the block, and its refcount, before the table has it
    const entry = new Uint8Array(QCOW2_ENTRY_BYTES);
    writeU64(new DataView(entry.buffer), 0, cluster * clusterBytes);
    file.write(entry, this.#tableOffset + block * QCOW2_ENTRY_BYTES);
    this.#table[block] = cluster * clusterBytes;
    this.#layout.addTable(cluster * clusterBytes, clusterBytes);
  }

  /**
   * A larger table, behind all that the present one can count; so the blocks that count it and themselves are
   * new, too. The header changes in one sector.
   */
  #growTable(atLeast: number): void {
    const { clusterBytes, file } = this.#layout;
    const perTableCluster = clusterBytes / QCOW2_ENTRY_BYTES;
    const firstBlock = this.#table.length;
    const first = firstBlock * this.#perBlock;
    const entries = Math.ceil(Math.max(atLeast + 2, firstBlock * TABLE_GROWTH));
    const { tableClusters, blocks } = this.#sizeOfNew(Math.ceil(entries / perTableCluster));
    if (tableClusters * clusterBytes > QCOW2_MAX_REFTABLE_BYTES) throw ioError(file.path, 'write', EFBIG);
    const total = blocks + tableClusters;
    if ((first + total) * clusterBytes > file.maxBytes) throw ioError(file.path, 'write', ENOSPC);
    this.#assertNoTable(first, total);
    const table = new Float64Array(tableClusters * perTableCluster);
    table.set(this.#table);
    for (let index = 0; index < blocks; index++) table[firstBlock + index] = (first + index) * clusterBytes;
    this.#writeNew(first, blocks, table);
    file.sync();
    const tableOffset = (first + blocks) * clusterBytes;
    this.#layout.writeRefcountTable(tableOffset, tableClusters);
    file.sync();
    this.#adoptTable(tableOffset, table, blocks);
  }

  #sizeOfNew(tableClusters: number): { tableClusters: number; blocks: number } {
    const perTableCluster = this.#layout.clusterBytes / QCOW2_ENTRY_BYTES;
    let size = { tableClusters, blocks: 1 };
    for (;;) {
      const blocks = Math.ceil((size.tableClusters + size.blocks) / this.#perBlock);
      const needed = Math.max(tableClusters, Math.ceil((this.#table.length + blocks) / perTableCluster));
      if (blocks === size.blocks && needed === size.tableClusters) return size;
      size = { tableClusters: needed, blocks };
    }
  }

  /** The new blocks, which count themselves and the table behind them, and the table. */
  #writeNew(first: number, blocks: number, table: Float64Array): void {
    const { clusterBytes, file } = this.#layout;
    const tableBytes = table.length * QCOW2_ENTRY_BYTES;
    const bytes = new Uint8Array(blocks * clusterBytes + tableBytes);
    const view = new DataView(bytes.buffer);
    for (let index = 0; index < bytes.length / clusterBytes; index++)
      writeRefcount(view, 0, index, this.#order, 1); // blocks are adjacent, so are their refcounts
    table.forEach((offset, index) =>
      writeU64(view, blocks * clusterBytes + index * QCOW2_ENTRY_BYTES, offset),
    );
    file.write(bytes, first * clusterBytes);
    this.#layout.usedUpTo(first + bytes.length / clusterBytes);
  }

  #adoptTable(offset: number, table: Float64Array, blocks: number): void {
    const { clusterBytes } = this.#layout;
    const oldBytes = this.#table.length * QCOW2_ENTRY_BYTES;
    const oldOffset = this.#tableOffset;
    for (const block of table.subarray(this.#table.length, this.#table.length + blocks))
      this.#layout.addTable(block, clusterBytes);
    this.#layout.addTable(offset, table.length * QCOW2_ENTRY_BYTES);
    this.#layout.removeTable(oldOffset, oldBytes);
    this.#table = table;
    this.#tableOffset = offset;
    for (let at = 0; at < oldBytes; at += clusterBytes) this.release((oldOffset + at) / clusterBytes);
  }
}

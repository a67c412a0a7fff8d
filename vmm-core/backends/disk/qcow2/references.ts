/**
 * Who refers to which cluster of a qcow2 image, counted anew from its tables: what refcounts must be. Reads
 * the file itself, not through the caches of an open image.
 */
import {
  QCOW2_AUTOCLEAR_BITMAPS_BITNR,
  QCOW2_BITMAP_EXTRA_BYTES,
  QCOW2_BITMAP_FIXED_BYTES,
  QCOW2_BITMAP_NAME_BYTES,
  QCOW2_BITMAP_TABLE_OFFSET,
  QCOW2_BITMAP_TABLE_SIZE,
  QCOW2_ENTRY_BYTES,
  QCOW2_MAX_BITMAPS,
  QCOW2_MAX_L1_BYTES,
  QCOW_OFLAG_COPIED_HIGH,
} from '../../../abi/qcow2.ts';
import { CLUSTER, hasPlace, kindOf, packedRange } from './clusterEntry.ts';
import { entryOffset, readU64 } from './entry.ts';
import { hasBit } from './header.ts';
import type { Layout } from './layout.ts';
import type { Refcounts } from './refcounts.ts';
import { readSnapshotTable } from './snapshotTable.ts';

/** What a cluster is used for. */
export const USE = {
  none: 0,
  data: 1,
  l2: 2,
  /** From here on one cluster has one user. */
  bitmap: 3,
  header: 4,
  refcountTable: 5,
  refcountBlock: 6,
  l1: 7,
  snapshotTable: 8,
} as const;
type Use = (typeof USE)[keyof typeof USE];
const USE_NAMES = [
  'nothing',
  'data',
  'an L2 table',
  'a bitmap',
  'the header',
  'the refcount table',
  'a refcount block',
  'an L1 table',
  'the snapshot table',
];

/** More clusters are not counted: the counts alone would fill the host's memory. */
const MAX_CLUSTERS = 2 ** 29;

export interface MapStatistics {
  allocated: number;
  packed: number;
  /** Allocated clusters that do not follow the one before. */
  fragmented: number;
}

export interface ReferencesOptions {
  /** Whether refcounts are as they should be, so that the COPIED flag can be compared with them. */
  readonly areCountsRight: boolean;
  readonly report: (problem: string) => void;
}

export class References {
  readonly counts: Uint32Array;
  readonly statistics: MapStatistics = { allocated: 0, packed: 0, fragmented: 0 };
  readonly #layout: Layout;
  readonly #refcounts: Refcounts;
  readonly #uses: Uint8Array;
  readonly #report: (problem: string) => void;
  readonly #areCountsRight: boolean;
  #lastPlace = -1;

  /** Throws RangeError when the file is too large to be counted. */
  constructor(layout: Layout, refcounts: Refcounts, { areCountsRight, report }: ReferencesOptions) {
    const clusters = Math.ceil(layout.file.sizeBytes() / layout.clusterBytes);
    if (clusters > MAX_CLUSTERS) throw new RangeError(`${clusters} clusters are too many to check`);
    this.#layout = layout;
    this.#refcounts = refcounts;
    this.#report = report;
    this.#areCountsRight = areCountsRight;
    this.counts = new Uint32Array(clusters + 1);
    this.#uses = new Uint8Array(clusters + 1);
  }

  /** The last cluster that anything refers to, plus one. */
  get end(): number {
    let end = this.counts.length;
    while (end > 0 && this.counts[end - 1] === 0) end--;
    return end;
  }

  collect(): void {
    const { header, clusterBytes } = this.#layout;
    this.#add(0, clusterBytes, USE.header);
    this.#collectRefcountTable();
    this.#collectL1(header.l1Offset, header.l1Size, true);
    this.#collectSnapshots();
    if (header.bitmaps !== undefined && hasBit(header.autoclearFeatures, QCOW2_AUTOCLEAR_BITMAPS_BITNR))
      this.#collectBitmaps();
  }

  /** Whether that could be: otherwise it has been reported. */
  #add(offset: number, lengthBytes: number, use: Use): boolean {
    const { clusterBytes } = this.#layout;
    if (lengthBytes === 0) return true;
    let isGood = true;
    const last = Math.floor((offset + lengthBytes - 1) / clusterBytes);
    for (let cluster = Math.floor(offset / clusterBytes); cluster <= last; cluster++) {
      if (cluster >= this.counts.length) {
        this.#report(`${USE_NAMES[use]} at ${hex(offset)} is beyond the end of the file`);
        return false;
      }
      const before = this.#uses[cluster] ?? USE.none;
      if (before !== USE.none && (before !== use || use >= USE.bitmap)) {
        this.#report(`cluster ${cluster} is used for ${USE_NAMES[before]} and for ${USE_NAMES[use]}`);
        isGood = false;
      }
      this.#uses[cluster] = Math.max(before, use);
      this.counts[cluster] = (this.counts[cluster] ?? 0) + 1;
    }
    return isGood;
  }

  #collectRefcountTable(): void {
    const { offset, blocks } = this.#refcounts.table;
    this.#add(offset, blocks.length * QCOW2_ENTRY_BYTES, USE.refcountTable);
    for (const block of blocks)
      if (block !== 0) this.#add(block, this.#layout.clusterBytes, USE.refcountBlock);
  }

  /**
   * `isActive`: of the disk itself. Only there the COPIED flag means anything. No table is followed twice, so
   * that a small file with tables made of the same bytes takes no longer than its size says.
   */
  #collectL1(offset: number, entries: number, isActive: boolean): void {
    const sizeBytes = entries * QCOW2_ENTRY_BYTES;
    if (sizeBytes > QCOW2_MAX_L1_BYTES) {
      this.#report(`an L1 table of ${entries} entries is too large`);
      return;
    }
    if (!this.#add(offset, sizeBytes, USE.l1)) return;
    const l1 = this.#read(offset, sizeBytes);
    const table = new Uint8Array(this.#layout.clusterBytes);
    const followed = new Set<number>();
    for (let index = 0; index < entries; index++) {
      const high = l1.getUint32(index * 8);
      const low = l1.getUint32(index * 8 + 4);
      if (!hasPlace(high, low)) continue;
      const at = entryOffset(high, low);
      if (!this.#isCluster(at, `L1 entry ${index}`)) continue;
      this.#add(at, this.#layout.clusterBytes, USE.l2);
      if (isActive) this.#checkCopied(high, at, `L1 entry ${index}`);
      if (followed.has(at)) {
        this.#report(`L1 entry ${index} refers to the L2 table at ${hex(at)}, as another entry does`);
        continue;
      }
      followed.add(at);
      this.#layout.file.read(table, at);
      this.#collectL2(new DataView(table.buffer), index, isActive);
    }
  }

  #collectL2(table: DataView, l1Index: number, isActive: boolean): void {
    const { clusterBytes, header } = this.#layout;
    for (let at = 0; at < table.byteLength; at += QCOW2_ENTRY_BYTES) {
      const high = table.getUint32(at);
      const low = table.getUint32(at + 4);
      if ((high | low) === 0) continue;
      const name = `L2 entry ${at / 8} of table ${l1Index}`;
      if (kindOf(high, low) === CLUSTER.PACKED) {
        const { offset, lengthBytes } = packedRange(high, low, header.clusterBits);
        if (this.#isOffset(offset, name)) this.#add(offset, lengthBytes, USE.data);
        if (isActive) this.#countPacked();
        if ((high & QCOW_OFLAG_COPIED_HIGH) !== 0) this.#report(`${name} is compressed and marked as copied`);
      } else if (hasPlace(high, low)) {
        const offset = entryOffset(high, low);
        if (!this.#isCluster(offset, name)) continue;
        this.#add(offset, clusterBytes, USE.data);
        if (isActive) this.#checkCopied(high, offset, name);
        if (isActive) this.#countData(offset);
      }
    }
  }

  #countData(offset: number): void {
    this.statistics.allocated++;
    if (this.#lastPlace >= 0 && offset !== this.#lastPlace + this.#layout.clusterBytes)
      this.statistics.fragmented++;
    this.#lastPlace = offset;
  }

  #countPacked(): void {
    this.statistics.allocated++;
    this.statistics.packed++;
    this.statistics.fragmented++;
  }

  #checkCopied(high: number, offset: number, name: string): void {
    if (!this.#areCountsRight) return;
    const isCopied = (high & QCOW_OFLAG_COPIED_HIGH) !== 0;
    const refcount = this.#refcounts.get(offset / this.#layout.clusterBytes);
    if (isCopied !== (refcount === 1))
      this.#report(`${name} is ${isCopied ? '' : 'not '}marked as copied, and the refcount is ${refcount}`);
  }

  #collectSnapshots(): void {
    const { file, header } = this.#layout;
    const { l1Tables, sizeBytes, problem } = readSnapshotTable(file, header);
    if (problem !== undefined) this.#report(`the snapshot table ${problem}`);
    l1Tables.forEach(({ offset, entries }, index) => {
      if (this.#isCluster(offset, `the L1 table of snapshot ${index}`))
        this.#collectL1(offset, entries, false);
    });
    if (problem === undefined) this.#add(header.snapshotsOffset, sizeBytes, USE.snapshotTable);
  }

  #collectBitmaps(): void {
    const { bitmaps } = this.#layout.header;
    if (bitmaps === undefined || bitmaps.count > QCOW2_MAX_BITMAPS)
      return this.#report('the bitmaps extension is broken');
    if (!this.#isCluster(bitmaps.directoryOffset, 'the bitmap directory')) return;
    const { directoryOffset, directoryBytes } = bitmaps;
    if (!this.#add(directoryOffset, directoryBytes, USE.bitmap)) return;
    let at = directoryOffset;
    for (let index = 0; index < bitmaps.count && at < directoryOffset + directoryBytes; index++) {
      const view = this.#read(at, QCOW2_BITMAP_FIXED_BYTES);
      this.#collectBitmap(
        readU64(view, QCOW2_BITMAP_TABLE_OFFSET),
        view.getUint32(QCOW2_BITMAP_TABLE_SIZE),
        index,
      );
      const names = view.getUint16(QCOW2_BITMAP_NAME_BYTES) + view.getUint32(QCOW2_BITMAP_EXTRA_BYTES);
      at += Math.ceil((QCOW2_BITMAP_FIXED_BYTES + names) / 8) * 8;
    }
  }

  #collectBitmap(offset: number, entries: number, index: number): void {
    const { clusterBytes } = this.#layout;
    if (!this.#isCluster(offset, `the table of bitmap ${index}`)) return;
    if (entries * QCOW2_ENTRY_BYTES > QCOW2_MAX_L1_BYTES) return this.#report(`bitmap ${index} is too large`);
    if (!this.#add(offset, entries * QCOW2_ENTRY_BYTES, USE.bitmap)) return;
    const table = this.#read(offset, entries * QCOW2_ENTRY_BYTES);
    for (let at = 0; at < table.byteLength; at += QCOW2_ENTRY_BYTES) {
      const place = entryOffset(table.getUint32(at), table.getUint32(at + 4));
      if (place !== 0 && this.#isCluster(place, `bitmap ${index}`))
        this.#add(place, clusterBytes, USE.bitmap);
    }
  }

  #read(offset: number, lengthBytes: number): DataView {
    const bytes = new Uint8Array(lengthBytes);
    this.#layout.file.read(bytes, offset);
    return new DataView(bytes.buffer);
  }

  #isOffset(offset: number, name: string): boolean {
    if (Number.isNaN(offset)) this.#report(`${name} refers to an offset of 2^53 or more`);
    return !Number.isNaN(offset);
  }

  #isCluster(offset: number, name: string): boolean {
    if (!this.#isOffset(offset, name)) return false;
    const isAligned = offset % this.#layout.clusterBytes === 0;
    if (!isAligned) this.#report(`${name} refers to ${hex(offset)}, where no cluster begins`);
    return isAligned;
  }
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

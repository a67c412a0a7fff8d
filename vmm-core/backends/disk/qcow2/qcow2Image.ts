/**
 * An open qcow2 image. What changes is changed in memory (clusterMap.ts, refcounts.ts) and written by `flush`
 * or when the caches want room, in this order:
 *
 *   data, new L2 tables, refcounts raised  ►  sync  ►  L2 and L1 entries  ►  sync  ►  refcounts lowered
 *
 * Wherever that is cut, with any part of what was not synced, no entry refers to a cluster that is not
 * counted or not written, and no cluster is reused that an entry on disk refers to: what may be wrong are
 * refcounts that are too high.
 */
import { QCOW_OFLAG_COPIED_HIGH, QCOW_OFLAG_ZERO_LOW } from '../../../abi/qcow2.ts';
import { EROFS } from '../../../kvm/errno.ts';
import { DiskError } from '../diskError.ts';
import { type DiskImage, EXTENT, type Extent, newExtent } from '../diskImage.ts';
import { CLUSTER, type ClusterKind, hasPlace, kindOf, packedEntry, packedRange } from './clusterEntry.ts';
import { ClusterMap } from './clusterMap.ts';
import { DroppedClusters } from './droppedClusters.ts';
import { entryOffset, highHalf, lowHalf } from './entry.ts';
import { assertDiskFits } from './header.ts';
import type { Layout } from './layout.ts';
import { NewClusters } from './newClusters.ts';
import { PackedSpace } from './packedSpace.ts';
import type { Refcounts } from './refcounts.ts';
import { unpackCluster, unpackClusterAhead } from './unpack.ts';

export interface Qcow2ImageOptions {
  readonly backing: DiskImage | undefined;
  /** Discards are passed down to the file. */
  readonly discards: boolean;
  /** Syncs are of no use: `cache` is unsafe. */
  readonly isUnsafe: boolean;
  /** Of L2 tables. */
  readonly cacheBytes: number;
}

/** Entries of 64 KiB clusters for 8 GiB. */
export const L2_CACHE_BYTES = 1 << 20;
/** Clusters given up, and not yet free. More are written back at once. */
const MAX_DROPPED = 1 << 14;
const NO_CLUSTER = -1;

export class Qcow2Image implements DiskImage {
  readonly format = 'qcow2';
  readonly mayEndEarly = true; // the last cluster need not be whole
  readonly clusterBytes: number;
  readonly isReadOnly: boolean;
  readonly #layout: Layout;
  readonly #refcounts: Refcounts;
  readonly #map: ClusterMap;
  readonly #options: Qcow2ImageOptions;
  readonly #backing: DiskImage | undefined;
  readonly #dropped: DroppedClusters;
  readonly #new: NewClusters;
  readonly #packedSpace: PackedSpace;
  #sizeBytes: number;
  #isWriting = false;
  /** Of the entry that was looked at last. */
  #place = 0;
  #unpacked: Uint8Array | undefined;
  #unpackedCluster = NO_CLUSTER;

  constructor(layout: Layout, refcounts: Refcounts, options: Qcow2ImageOptions) {
    this.#layout = layout;
    this.#refcounts = refcounts;
    this.#options = options;
    this.#backing = options.backing;
    this.#dropped = new DroppedClusters(layout, refcounts, options.discards);
    this.#map = new ClusterMap(layout, refcounts, {
      cacheBytes: options.cacheBytes,
      beforeWrite: () => this.#syncBeforeMap(),
      dropped: (cluster) => this.#dropped.add(cluster),
    });
    this.#new = new NewClusters(layout, refcounts);
    this.#packedSpace = new PackedSpace(layout, refcounts);
    this.clusterBytes = layout.clusterBytes;
    this.isReadOnly = layout.isReadOnly;
    this.#sizeBytes = layout.header.sizeBytes;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get alignmentBytes(): number {
    return Math.max(this.#layout.file.alignmentBytes, this.#backing?.alignmentBytes ?? 1);
  }

  get fd(): number {
    return this.#layout.file.fd;
  }

  locate(offset: number, lengthBytes: number, extent: Extent): void {
    const cluster = Math.floor(offset / this.clusterBytes);
    const inCluster = offset - cluster * this.clusterBytes;
    const position = this.#map.find(cluster);
    if (position < 0) {
      const unmapped = this.#map.unmappedFrom(cluster) * this.clusterBytes - inCluster;
      this.#locateBelow(offset, Math.min(lengthBytes, unmapped), extent);
      return;
    }
    const kind = this.#kindAt(position);
    const clusters = this.#adjacent(
      cluster,
      position,
      kind,
      Math.ceil((inCluster + lengthBytes) / this.clusterBytes),
    );
    const length = Math.min(lengthBytes, clusters * this.clusterBytes - inCluster);
    if (kind === CLUSTER.ABSENT) {
      this.#locateBelow(offset, length, extent);
      return;
    }
    extent.kind = kind === CLUSTER.DATA ? EXTENT.DATA : kind === CLUSTER.ZERO ? EXTENT.ZERO : EXTENT.PACKED;
    extent.fd = this.#layout.file.fd;
    extent.fileOffset = this.#place + inCluster;
    extent.lengthBytes = length;
  }

  readPacked(offset: number, into: Uint8Array): void {
    const cluster = Math.floor(offset / this.clusterBytes);
    const position = this.#map.find(cluster);
    if (position < 0 || this.#kindAt(position) === CLUSTER.ABSENT) {
      this.#backing?.readPacked(offset, into);
      return;
    }
    if (this.#unpackedCluster !== cluster) this.#unpack(cluster, position);
    const start = offset % this.clusterBytes;
    into.set((this.#unpacked as Uint8Array).subarray(start, start + into.length));
  }

  async readPackedAhead(offset: number, into: Uint8Array): Promise<void> {
    const position = this.#map.find(Math.floor(offset / this.clusterBytes));
    if (position < 0 || this.#kindAt(position) === CLUSTER.ABSENT) {
      await this.#backing?.readPackedAhead(offset, into);
      return;
    }
    const { at, bytes } = this.#packedAt(position);
    try {
      const unpacked = await unpackClusterAhead(bytes, this.#layout.header.compression, this.clusterBytes);
      const start = offset % this.clusterBytes;
      into.set(unpacked.subarray(start, start + into.length));
    } catch (error) {
      throw this.#cannotUnpack(at, error);
    }
  }

  read(offset: number, into: Uint8Array): void {
    const extent = newExtent();
    for (let done = 0; done < into.length; done += extent.lengthBytes) {
      const at = offset + done;
      this.locate(at, into.length - done, extent);
      const part = into.subarray(done, done + extent.lengthBytes);
      if (extent.kind === EXTENT.ZERO) fillZeros(part);
      else if (extent.kind === EXTENT.PACKED) this.readPacked(at, part);
      else if (extent.fd === this.fd) this.#layout.file.read(part, extent.fileOffset);
      else this.#backing?.read(at, part);
    }
  }

  write(offset: number, bytes: Uint8Array): void {
    const extent = newExtent();
    for (let done = 0; done < bytes.length; done += extent.lengthBytes) {
      const isNew = this.prepareWrite(offset + done, bytes.length - done, extent);
      this.#layout.file.write(bytes.subarray(done, done + extent.lengthBytes), extent.fileOffset);
      if (isNew) this.commitWrite();
    }
  }

  prepareWrite(offset: number, lengthBytes: number, extent: Extent): boolean {
    if (!this.#isWriting) this.#beginWriting();
    this.#new.abandon();
    const cluster = Math.floor(offset / this.clusterBytes);
    const inCluster = offset - cluster * this.clusterBytes;
    const wanted = Math.ceil((inCluster + lengthBytes) / this.clusterBytes);
    let position = this.#map.find(cluster);
    const isNew = position < 0 || !this.#isOwnData(position);
    let clusters: number;
    if (isNew) {
      position = this.#map.findToChange(cluster);
      clusters = this.#makePlace(cluster, position, wanted);
      this.#fillAround(offset, Math.min(lengthBytes, clusters * this.clusterBytes - inCluster));
      this.#place = this.#new.place;
    } else {
      this.#kindAt(position);
      clusters = this.#ownRun(cluster, position, wanted);
    }
    extent.kind = EXTENT.DATA;
    extent.fd = this.#layout.file.fd;
    extent.fileOffset = this.#place + inCluster;
    extent.lengthBytes = Math.min(lengthBytes, clusters * this.clusterBytes - inCluster);
    return isNew;
  }

  commitWrite(): void {
    const { cluster, clusters, place, isReused } = this.#new;
    for (let index = 0; index < clusters; index++) {
      const position = this.#map.findToChange(cluster + index);
      if (!isReused) this.#dropEntry(position);
      const at = place + index * this.clusterBytes;
      this.#map.change(position, highHalf(at, QCOW_OFLAG_COPIED_HIGH), lowHalf(at));
    }
    this.#new.taken();
    this.#unpackedCluster = NO_CLUSTER;
  }

  /** A whole cluster, as packCluster made it; for images that are written once, by a conversion. */
  writePacked(offset: number, packed: Uint8Array): void {
    if (!this.#isWriting) this.#beginWriting();
    this.#new.abandon();
    const position = this.#map.findToChange(Math.floor(offset / this.clusterBytes));
    const [high, low] = packedEntry(this.#packedSpace.write(packed), this.#layout.header.clusterBits);
    this.#dropEntry(position);
    this.#map.change(position, high, low);
    this.#unpackedCluster = NO_CLUSTER;
  }

  /** Whether the cluster at this offset is not the backing file's. */
  hasOwn(offset: number): boolean {
    const position = this.#map.find(Math.floor(offset / this.clusterBytes));
    return position >= 0 && this.#kindAt(position) !== CLUSTER.ABSENT;
  }

  /** From here on it reads as its backing file does. */
  becomeEmpty(): void {
    this.#change(0, Math.ceil(this.#sizeBytes / this.clusterBytes), (cluster, position) => {
      if (position >= 0 && this.#kindAt(position) !== CLUSTER.ABSENT) this.#empty(cluster, 0);
    });
  }

  discard(offset: number, lengthBytes: number): void {
    const first = Math.ceil(offset / this.clusterBytes);
    const end = this.#endCluster(offset + lengthBytes);
    this.#change(first, end, (cluster, position) => this.#discardCluster(cluster, position));
  }

  writeZeroes(offset: number, lengthBytes: number, mayUnmap: boolean): void {
    const end = offset + lengthBytes;
    const first = Math.ceil(offset / this.clusterBytes);
    const last = this.#endCluster(end);
    if (first > last) return this.#zeroPart(offset, end);
    this.#zeroPart(offset, Math.min(first * this.clusterBytes, end));
    this.#change(first, last, (cluster, position) => this.#zeroCluster(cluster, position, mayUnmap));
    if (last * this.clusterBytes < end) this.#zeroPart(Math.max(last * this.clusterBytes, offset), end);
  }

  flush(): boolean {
    if (!this.#isWriting) return false;
    this.#new.abandon();
    if (this.#map.isDirty) {
      this.#syncBeforeMap();
      this.#map.write();
    }
    if (!this.#dropped.isEmpty) {
      this.#layout.file.sync();
      this.#dropped.free();
    }
    return !this.#options.isUnsafe;
  }

  /** The sync that `flush` asks for, on this thread. */
  sync(): void {
    this.#layout.file.sync();
  }

  /** Throws UserError for a size that the format cannot have; then nothing is changed. */
  resize(sizeBytes: number): void {
    assertDiskFits(sizeBytes, this.#layout.header.clusterBits);
    if (!this.#isWriting) this.#beginWriting();
    const oldBytes = this.#sizeBytes;
    if (sizeBytes < oldBytes) this.#shrinkTo(sizeBytes);
    this.flush();
    this.#layout.file.sync();
    this.#map.growTo(sizeBytes);
    if (sizeBytes > oldBytes) this.#clearBeyond(oldBytes, sizeBytes);
    this.flush();
    this.#layout.file.sync(); // an L1 table that is too small for the size is an error
    this.#layout.writeSize(sizeBytes);
    this.#layout.file.sync();
    this.#sizeBytes = sizeBytes;
  }

  /** As closed in order: refcounts are right, and the image is not dirty any more. */
  close(): void {
    try {
      if (this.#isWriting) this.#settle();
    } finally {
      this.#layout.file.close();
      this.#backing?.close();
    }
  }

  #settle(): void {
    this.flush();
    this.#refcounts.write();
    this.#layout.file.sync();
    if (this.#layout.isDirty) this.#layout.setDirty(false);
  }

  #beginWriting(): void {
    const { file, isCorrupt } = this.#layout;
    if (this.isReadOnly) throw new DiskError(`${file.path} is open for reading only`, EROFS);
    if (isCorrupt) throw this.#layout.corruption('it is marked so');
    this.#layout.beginWriting();
    this.#isWriting = true;
  }

  /** Refcounts too, unless the image says by its dirty bit that they may be wrong. */
  #syncBeforeMap(): void {
    if (!this.#layout.header.hasLazyRefcounts) this.#refcounts.write();
    this.#layout.file.sync();
  }

  /** Leaves its place in `#place`. */
  #kindAt(position: number): ClusterKind {
    const high = this.#map.high(position);
    const low = this.#map.low(position);
    const kind = kindOf(high, low);
    if (kind === CLUSTER.DATA) this.#place = this.#placeOf(high, low);
    return kind;
  }

  #placeOf(high: number, low: number): number {
    const place = entryOffset(high, low);
    if (!(place % this.clusterBytes === 0))
      throw this.#layout.corruption(`an L2 entry, ${hex(high, low)}, is not the offset of a cluster`);
    return place;
  }

  #assertNoTable(place: number): void {
    if (this.#layout.metadata.has(place))
      throw this.#layout.corruption(`an L2 entry refers to the table at 0x${place.toString(16)}`);
  }

  /** How many clusters, at most `wanted` and in one slice, go on as the first, whose place is `#place`. */
  #adjacent(cluster: number, position: number, kind: ClusterKind, wanted: number): number {
    const limit = Math.min(wanted, this.#map.perSlice - (cluster % this.#map.perSlice));
    const place = this.#place;
    let count = 1;
    for (; count < limit && kind !== CLUSTER.PACKED; count++) {
      if (this.#kindAt(position + count * 8) !== kind) break;
      if (kind === CLUSTER.DATA && this.#place !== place + count * this.clusterBytes) break;
    }
    this.#place = place;
    return count;
  }

  #locateBelow(offset: number, lengthBytes: number, extent: Extent): void {
    const backing = this.#backing;
    if (backing !== undefined && offset < backing.sizeBytes) {
      backing.locate(offset, Math.min(lengthBytes, backing.sizeBytes - offset), extent);
      return;
    }
    extent.kind = EXTENT.ZERO;
    extent.lengthBytes = lengthBytes;
  }

  #hasBelow(cluster: number): boolean {
    return this.#backing !== undefined && cluster * this.clusterBytes < this.#backing.sizeBytes;
  }

  /** In this image's own cluster, which may be written where it is. */
  #isOwnData(position: number): boolean {
    const high = this.#map.high(position);
    return (high & QCOW_OFLAG_COPIED_HIGH) !== 0 && kindOf(high, this.#map.low(position)) === CLUSTER.DATA;
  }

  #ownRun(cluster: number, position: number, wanted: number): number {
    const place = this.#place;
    const adjacent = this.#adjacent(cluster, position, CLUSTER.DATA, wanted);
    let count = 0;
    while (count < adjacent && this.#isOwnData(position + count * 8)) {
      this.#assertNoTable(place + count * this.clusterBytes);
      count++;
    }
    return count;
  }

  /** A place for clusters from here on that have none of their own. Returns how many. */
  #makePlace(cluster: number, position: number, wanted: number): number {
    const limit = Math.min(wanted, this.#map.perSlice - (cluster % this.#map.perSlice));
    const high = this.#map.high(position);
    const low = this.#map.low(position);
    if ((high & QCOW_OFLAG_COPIED_HIGH) !== 0 && kindOf(high, low) === CLUSTER.ZERO && hasPlace(high, low)) {
      const place = this.#placeOf(high, low);
      this.#assertNoTable(place);
      this.#new.reuse(cluster, place);
      return 1;
    }
    let count = 1;
    while (count < limit && !this.#isOwnData(position + count * 8)) count++;
    this.#new.allocate(cluster, count);
    return count;
  }

  /** The rest of the first and the last new cluster is what it was before. */
  #fillAround(offset: number, lengthBytes: number): void {
    const start = this.#new.cluster * this.clusterBytes;
    const end = offset + lengthBytes;
    const endOfClusters = start + this.#new.clusters * this.clusterBytes;
    try {
      if (offset > start) this.#fill(start, offset);
      if (end < endOfClusters) this.#fill(end, endOfClusters);
    } catch (error) {
      this.#new.abandon();
      throw error;
    }
  }

  /** Copies [from, to) of the disk to the new place, and zeros where the disk ends. */
  #fill(from: number, to: number): void {
    const extent = newExtent();
    for (let at = from; at < to; at += extent.lengthBytes) {
      if (at >= this.#sizeBytes) {
        extent.kind = EXTENT.ZERO;
        extent.lengthBytes = to - at;
      } else this.locate(at, Math.min(to, this.#sizeBytes) - at, extent);
      this.#new.fill(at, extent, this);
    }
  }

  /** What the entry refers to is not referred to any more. */
  #dropEntry(position: number): void {
    const high = this.#map.high(position);
    const low = this.#map.low(position);
    if (kindOf(high, low) !== CLUSTER.PACKED) {
      if (hasPlace(high, low)) this.#dropped.add(this.#placeOf(high, low) / this.clusterBytes);
      return;
    }
    const { offset, lengthBytes } = packedRange(high, low, this.#layout.header.clusterBits);
    if (Number.isNaN(offset)) throw this.#layout.corruption('a compressed cluster is beyond 2^53');
    const last = Math.floor((offset + lengthBytes - 1) / this.clusterBytes);
    this.#dropped.add(Math.floor(offset / this.clusterBytes), last);
  }

  #unpack(cluster: number, position: number): void {
    this.#unpackedCluster = NO_CLUSTER;
    const { at, bytes } = this.#packedAt(position);
    try {
      this.#unpacked = unpackCluster(bytes, this.#layout.header.compression, this.clusterBytes);
    } catch (error) {
      throw this.#cannotUnpack(at, error);
    }
    this.#unpackedCluster = cluster;
  }

  /** What is compressed, and where in the file. */
  #packedAt(position: number): { readonly at: number; readonly bytes: Uint8Array } {
    const { file, header } = this.#layout;
    const { offset, lengthBytes } = packedRange(
      this.#map.high(position),
      this.#map.low(position),
      header.clusterBits,
    );
    if (Number.isNaN(offset)) throw this.#layout.corruption('a compressed cluster is beyond 2^53');
    const bytes = new Uint8Array(lengthBytes);
    file.read(bytes, offset);
    return { at: offset, bytes };
  }

  #cannotUnpack(at: number, error: unknown): DiskError {
    const reason = error instanceof Error ? error.message : String(error);
    return this.#layout.corruption(`the compressed cluster at 0x${at.toString(16)}: ${reason}`);
  }

  /** The end of the clusters wholly before `end`; the disk's last one counts, however short. */
  #endCluster(end: number): number {
    return end >= this.#sizeBytes ? Math.ceil(end / this.clusterBytes) : Math.floor(end / this.clusterBytes);
  }

  /** Calls `apply` for clusters in [first, end) but those that nothing says anything of. */
  #change(first: number, end: number, apply: (cluster: number, position: number) => void): void {
    if (!this.#isWriting) this.#beginWriting();
    this.#new.abandon();
    this.#unpackedCluster = NO_CLUSTER;
    for (let cluster = first; cluster < end;) {
      const position = this.#map.find(cluster);
      if (position >= 0 || this.#hasBelow(cluster)) apply(cluster++, position);
      else cluster += this.#map.unmappedFrom(cluster);
      if (this.#dropped.count >= MAX_DROPPED) this.flush();
    }
  }

  #discardCluster(cluster: number, position: number): void {
    if (!this.#hasBelow(cluster)) {
      if (position >= 0 && this.#kindAt(position) !== CLUSTER.ABSENT) this.#empty(cluster, 0);
    } else if (this.#layout.header.version !== 2) this.#empty(cluster, QCOW_OFLAG_ZERO_LOW);
  }

  #zeroCluster(cluster: number, position: number, mayUnmap: boolean): void {
    const isBacked = this.#hasBelow(cluster);
    if (!isBacked && (position < 0 || this.#kindAt(position) === CLUSTER.ABSENT)) return;
    const isV2 = this.#layout.header.version === 2;
    if (isV2 && (isBacked || !mayUnmap)) {
      const start = cluster * this.clusterBytes;
      this.#zeroPart(start, Math.min(start + this.clusterBytes, this.#sizeBytes));
    } else if (!mayUnmap && position >= 0 && this.#isOwnData(position)) {
      const own = this.#map.findToChange(cluster);
      this.#map.change(own, this.#map.high(own), (this.#map.low(own) | QCOW_OFLAG_ZERO_LOW) >>> 0);
    } else if (mayUnmap || position < 0 || this.#kindAt(position) !== CLUSTER.ZERO)
      this.#empty(cluster, isBacked || !mayUnmap ? QCOW_OFLAG_ZERO_LOW : 0);
  }

  #empty(cluster: number, low: number): void {
    const position = this.#map.findToChange(cluster);
    this.#dropEntry(position);
    this.#map.change(position, 0, low);
  }

  /** Writes zeros to [from, to), where it is not zero already. */
  #zeroPart(from: number, to: number): void {
    const extent = newExtent();
    for (let at = from; at < to; at += extent.lengthBytes) {
      this.locate(at, to - at, extent);
      if (extent.kind === EXTENT.ZERO) continue;
      const isNew = this.prepareWrite(at, extent.lengthBytes, extent);
      this.#layout.file.zero(extent.fileOffset, extent.lengthBytes);
      if (isNew) this.commitWrite();
    }
  }

  #shrinkTo(sizeBytes: number): void {
    const first = Math.ceil(sizeBytes / this.clusterBytes);
    const end = Math.ceil(this.#sizeBytes / this.clusterBytes);
    this.#change(first, end, (cluster, position) => {
      if (position >= 0) this.#empty(cluster, 0);
    });
  }

  /** What a backing file, or the last cluster, has behind the old end must not show when the disk grows. */
  #clearBeyond(oldBytes: number, sizeBytes: number): void {
    const endOfCluster = Math.ceil(oldBytes / this.clusterBytes) * this.clusterBytes;
    const end = Math.min(sizeBytes, Math.max(endOfCluster, this.#backing?.sizeBytes ?? 0));
    if (end <= oldBytes) return;
    this.#sizeBytes = sizeBytes; // so far for what follows
    try {
      this.writeZeroes(oldBytes, end - oldBytes, true);
    } finally {
      this.#sizeBytes = oldBytes;
    }
  }
}

/** TypedArray.fill goes through shared memory byte by byte. */
function fillZeros(bytes: Uint8Array): void {
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).fill(0);
}

function hex(high: number, low: number): string {
  return `0x${high.toString(16)}${low.toString(16).padStart(8, '0')}`;
}

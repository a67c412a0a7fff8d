/**
 * A disk image in which every cluster can be of any kind of extent, and changes kind as it is written: for
 * tests of what is above images. Reuses freed places at once, and fails when it is called out of order.
 */
import { type DiskImage, EXTENT, type Extent, newExtent } from '../../vmm-core/backends/disk/diskImage.ts';
import type { FakeFile } from './fakeIoEngine.ts';

export type ClusterKind = 'data' | 'zero' | 'packed';

export interface PatchworkOptions {
  readonly fd?: number;
  readonly clusterBytes?: number;
  readonly alignmentBytes?: number;
  readonly isReadOnly?: boolean;
}

interface Cluster {
  kind: ClusterKind;
  /** Data: its place in the file, in clusters. */
  place: number;
  /** Packed: what it has. */
  content: Uint8Array | undefined;
}

export class PatchworkImage implements DiskImage {
  readonly format = 'patchwork';
  mayEndEarly = false;
  readonly fd: number;
  readonly clusterBytes: number;
  readonly alignmentBytes: number;
  readonly isReadOnly: boolean;
  sizeBytes: number;
  isClosed = false;
  /** Thrown by the next allocating write, discard or flush. */
  failNext: Error | undefined;
  readonly #file: FakeFile;
  readonly #clusters: Cluster[];
  readonly #freed: number[] = [];
  #places = 0;
  /** The cluster that `commitWrite` is awaited for. */
  #uncommitted: { readonly cluster: Cluster; readonly place: number } | undefined;

  /** Data clusters of `kinds` are allocated and zero. */
  constructor(file: FakeFile, kinds: readonly ClusterKind[], options: PatchworkOptions = {}) {
    this.#file = file;
    this.fd = options.fd ?? 3;
    this.clusterBytes = options.clusterBytes ?? 4096;
    this.alignmentBytes = options.alignmentBytes ?? 1;
    this.isReadOnly = options.isReadOnly ?? false;
    this.#clusters = kinds.map((kind) => this.#newCluster(kind));
    this.sizeBytes = kinds.length * this.clusterBytes;
  }

  locate(offset: number, lengthBytes: number, extent: Extent): void {
    this.#takeBack();
    this.#check(offset, lengthBytes);
    const cluster = this.#at(offset);
    extent.kind = { data: EXTENT.DATA, zero: EXTENT.ZERO, packed: EXTENT.PACKED }[cluster.kind];
    this.#placeExtent(cluster.place, offset, lengthBytes, extent);
  }

  readPacked(offset: number, into: Uint8Array): void {
    this.#takeBack();
    const { content } = this.#at(offset);
    if (content === undefined) throw new Error('the cluster is not packed');
    into.set(content.subarray(offset % this.clusterBytes, (offset % this.clusterBytes) + into.length));
  }

  readPackedAhead(offset: number, into: Uint8Array): Promise<void> {
    this.readPacked(offset, into);
    return Promise.resolve();
  }

  read(offset: number, into: Uint8Array): void {
    this.#failIfAsked();
    into.set(this.content().subarray(offset, offset + into.length));
  }

  write(offset: number, bytes: Uint8Array): void {
    const extent = newExtent();
    for (let done = 0; done < bytes.length; done += extent.lengthBytes) {
      const isNew = this.prepareWrite(offset + done, bytes.length - done, extent);
      this.#file.write(bytes.subarray(done, done + extent.lengthBytes), extent.fileOffset);
      if (isNew) this.commitWrite();
    }
  }

  prepareWrite(offset: number, lengthBytes: number, extent: Extent): boolean {
    this.#takeBack();
    this.#check(offset, lengthBytes);
    if (this.isReadOnly) throw new Error('the image is read-only');
    const cluster = this.#at(offset);
    extent.kind = EXTENT.DATA;
    if (cluster.kind === 'data') {
      this.#placeExtent(cluster.place, offset, lengthBytes, extent);
      return false;
    }
    this.#failIfAsked();
    const place = this.#allocate();
    this.#file.write(cluster.content ?? new Uint8Array(this.clusterBytes), place * this.clusterBytes);
    this.#placeExtent(place, offset, lengthBytes, extent);
    this.#uncommitted = { cluster, place };
    return true;
  }

  commitWrite(): void {
    if (this.#uncommitted === undefined) throw new Error('there is nothing to commit');
    const { cluster, place } = this.#uncommitted;
    this.#uncommitted = undefined;
    Object.assign(cluster, { kind: 'data', place, content: undefined });
  }

  discard(offset: number, lengthBytes: number): void {
    this.#zero(offset, lengthBytes, true);
  }

  writeZeroes(offset: number, lengthBytes: number, mayUnmap: boolean): void {
    this.#zero(offset, lengthBytes, mayUnmap);
    for (let at = offset; at < offset + lengthBytes;) {
      const end = Math.min(offset + lengthBytes, this.#endOfCluster(at));
      this.#zeroPart(this.#at(at), at, end - at);
      at = end;
    }
  }

  flush(): boolean {
    this.#takeBack();
    this.#failIfAsked();
    return true;
  }

  resize(sizeBytes: number): void {
    while (this.#clusters.length * this.clusterBytes < sizeBytes)
      this.#clusters.push(this.#newCluster('zero'));
    this.sizeBytes = sizeBytes;
  }

  close(): void {
    this.isClosed = true;
  }

  /** A packed cluster with that content. */
  pack(index: number, content: Uint8Array): void {
    const cluster = this.#clusters[index];
    if (cluster !== undefined) Object.assign(cluster, { kind: 'packed', content });
  }

  /** The disk's content; of data clusters as in `from`, which is a state of the file. */
  content(from = this.#file.bytes): Uint8Array {
    const disk = new Uint8Array(this.#clusters.length * this.clusterBytes);
    this.#clusters.forEach(({ kind, place, content }, i) => {
      const start = place * this.clusterBytes;
      if (kind === 'data') disk.set(from.subarray(start, start + this.clusterBytes), i * this.clusterBytes);
      else if (content !== undefined) disk.set(content, i * this.clusterBytes);
    });
    return disk.subarray(0, this.sizeBytes);
  }

  kindAt(offset: number): ClusterKind {
    return this.#at(offset).kind;
  }

  /** Whole clusters lose their place, parts stay as they are. */
  #zero(offset: number, lengthBytes: number, mayUnmap: boolean): void {
    this.#takeBack();
    this.#check(offset, lengthBytes);
    this.#failIfAsked();
    if (!mayUnmap) return;
    const first = Math.ceil(offset / this.clusterBytes);
    const end = Math.floor((offset + lengthBytes) / this.clusterBytes);
    for (const cluster of this.#clusters.slice(first, Math.max(first, end))) {
      if (cluster.kind === 'data') this.#freed.push(cluster.place);
      Object.assign(cluster, { kind: 'zero', content: undefined });
    }
  }

  #zeroPart(cluster: Cluster, offset: number, lengthBytes: number): void {
    const start = offset % this.clusterBytes;
    if (cluster.kind === 'data')
      this.#file.write(new Uint8Array(lengthBytes), cluster.place * this.clusterBytes + start);
    else if (cluster.content !== undefined) {
      cluster.content = cluster.content.slice();
      cluster.content.fill(0, start, start + lengthBytes);
    }
  }

  #newCluster(kind: ClusterKind): Cluster {
    const content = kind === 'packed' ? new Uint8Array(this.clusterBytes) : undefined;
    const place = kind === 'data' ? this.#allocate() : -1;
    if (kind === 'data') this.#file.write(new Uint8Array(this.clusterBytes), place * this.clusterBytes);
    return { kind, place, content };
  }

  #allocate(): number {
    return this.#freed.shift() ?? this.#places++;
  }

  #placeExtent(place: number, offset: number, lengthBytes: number, extent: Extent): void {
    extent.fd = this.fd;
    extent.fileOffset = place * this.clusterBytes + (offset % this.clusterBytes);
    extent.lengthBytes = Math.min(lengthBytes, this.#endOfCluster(offset) - offset);
  }

  #endOfCluster(offset: number): number {
    return (Math.floor(offset / this.clusterBytes) + 1) * this.clusterBytes;
  }

  #at(offset: number): Cluster {
    const cluster = this.#clusters[Math.floor(offset / this.clusterBytes)];
    if (cluster === undefined) throw new RangeError(`offset ${offset} is beyond the disk`);
    return cluster;
  }

  #check(offset: number, lengthBytes: number): void {
    const isGood = offset % 512 === 0 && lengthBytes % 512 === 0 && lengthBytes > 0;
    if (!isGood || offset < 0 || offset + lengthBytes > this.sizeBytes)
      throw new RangeError(`bytes ${offset}, ${lengthBytes} are not sectors of the disk`);
  }

  /** What could not be written is not committed; `commitWrite` after any other call fails. */
  #takeBack(): void {
    if (this.#uncommitted !== undefined) this.#freed.push(this.#uncommitted.place);
    this.#uncommitted = undefined;
  }

  #failIfAsked(): void {
    const error = this.failNext;
    this.failNext = undefined;
    if (error !== undefined) throw error;
  }
}

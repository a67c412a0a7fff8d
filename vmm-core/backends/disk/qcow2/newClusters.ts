/**
 * The place of the write that is under way: clusters of the file that nothing refers to yet, and what is
 * copied into them around the data.
 */
import { IoBuffer } from '../../../memory/ioBuffer.ts';
import { type DiskImage, EXTENT, type Extent } from '../diskImage.ts';
import type { Layout } from './layout.ts';
import type { Refcounts } from './refcounts.ts';

export class NewClusters {
  /** Of the disk; the first. */
  cluster = 0;
  /** 0: no write is under way. */
  clusters = 0;
  /** Their offset in the file. */
  place = 0;
  /** It was the cluster's before, and read as zeros. */
  isReused = false;
  /** The place has only zeros. */
  #isFresh = false;
  readonly #layout: Layout;
  readonly #refcounts: Refcounts;
  #buffer: IoBuffer | undefined;

  constructor(layout: Layout, refcounts: Refcounts) {
    this.#layout = layout;
    this.#refcounts = refcounts;
  }

  allocate(cluster: number, clusters: number): void {
    const first = this.#refcounts.allocate(clusters);
    this.#isFresh = first >= this.#layout.freshFrom;
    this.#layout.usedUpTo(first + clusters);
    this.#begin(cluster, clusters, first * this.#layout.clusterBytes, false);
  }

  reuse(cluster: number, place: number): void {
    this.#isFresh = false;
    this.#begin(cluster, 1, place, true);
  }

  /** The map refers to them now. */
  taken(): void {
    this.clusters = 0;
  }

  /** The data did not get there. */
  abandon(): void {
    const first = this.place / this.#layout.clusterBytes;
    const end = this.isReused ? first : first + this.clusters;
    this.clusters = 0;
    for (let cluster = first; cluster < end; cluster++) this.#refcounts.release(cluster);
  }

  /** Copies what the disk has at `offset`, where `image` located `extent`. */
  fill(offset: number, extent: Extent, image: DiskImage): void {
    const { file, clusterBytes } = this.#layout;
    const at = this.place + (offset - this.cluster * clusterBytes);
    if (extent.kind === EXTENT.ZERO) {
      if (!this.#isFresh) file.zero(at, extent.lengthBytes);
      return;
    }
    this.#buffer ??= new IoBuffer(clusterBytes);
    const bytes = this.#buffer.bytes.subarray(0, extent.lengthBytes);
    image.read(offset, bytes);
    file.write(bytes, at);
  }

  #begin(cluster: number, clusters: number, place: number, isReused: boolean): void {
    this.cluster = cluster;
    this.clusters = clusters;
    this.place = place;
    this.isReused = isReused;
  }
}

/** Clusters that lost a reference in memory, and are free when the map on disk does not refer to them. */
import type { Layout } from './layout.ts';
import type { Refcounts } from './refcounts.ts';

export class DroppedClusters {
  readonly #layout: Layout;
  readonly #refcounts: Refcounts;
  readonly #discards: boolean;
  #clusters: number[] = [];

  constructor(layout: Layout, refcounts: Refcounts, discards: boolean) {
    this.#layout = layout;
    this.#refcounts = refcounts;
    this.#discards = discards;
  }

  get isEmpty(): boolean {
    return this.#clusters.length === 0;
  }

  get count(): number {
    return this.#clusters.length;
  }

  /** One or several adjacent ones. Throws DiskError: what was referred to is a table in use. */
  add(first: number, last = first): void {
    for (let cluster = first; cluster <= last; cluster++) this.#assertNoTable(cluster);
    for (let cluster = first; cluster <= last; cluster++) this.#clusters.push(cluster);
  }

  /** The map on disk, synced, does not refer to them. */
  free(): void {
    const clusters = this.#clusters.sort((a, b) => a - b);
    this.#clusters = [];
    let start = 0;
    let end = 0;
    for (const cluster of clusters) {
      this.#assertNoTable(cluster);
      if (!this.#refcounts.release(cluster)) continue;
      if (cluster !== end) {
        this.#punch(start, end);
        start = cluster;
      }
      end = cluster + 1;
    }
    this.#punch(start, end);
  }

  #assertNoTable(cluster: number): void {
    const { clusterBytes, metadata } = this.#layout;
    if (metadata.has(cluster * clusterBytes))
      throw this.#layout.corruption(`cluster ${cluster}, which has a table, is used for data, too`);
  }

  #punch(start: number, end: number): void {
    const { clusterBytes, file } = this.#layout;
    if (this.#discards && end > start) file.punch(start * clusterBytes, (end - start) * clusterBytes);
  }
}

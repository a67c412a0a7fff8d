/** Where compressed clusters go: one behind the other, with no regard to where clusters of the file begin. */
import { QCOW2_COMPRESSED_SECTOR_BYTES } from '../../../abi/qcow2.ts';
import type { PackedRange } from './clusterEntry.ts';
import type { Layout } from './layout.ts';
import type { Refcounts } from './refcounts.ts';

export class PackedSpace {
  readonly #layout: Layout;
  readonly #refcounts: Refcounts;
  /** The next byte, in a cluster that has some already; 0: there is none. */
  #next = 0;

  constructor(layout: Layout, refcounts: Refcounts) {
    this.#layout = layout;
    this.#refcounts = refcounts;
  }

  /** At most a cluster. Its clusters have one reference more now. */
  write(packed: Uint8Array): PackedRange {
    const { clusterBytes, file } = this.#layout;
    const offset = this.#place(packed.length);
    // what reads it reads whole sectors, also at the end of the file
    const end =
      Math.ceil((offset + packed.length) / QCOW2_COMPRESSED_SECTOR_BYTES) * QCOW2_COMPRESSED_SECTOR_BYTES;
    const padded = new Uint8Array(end - offset);
    padded.set(packed);
    file.write(padded, offset);
    this.#layout.usedUpTo(Math.ceil(end / clusterBytes));
    this.#next = (offset + packed.length) % clusterBytes === 0 ? 0 : offset + packed.length;
    return { offset, lengthBytes: packed.length };
  }

  #place(lengthBytes: number): number {
    const { clusterBytes } = this.#layout;
    const current = Math.floor(this.#next / clusterBytes);
    const canShare = this.#next !== 0 && this.#refcounts.get(current) < this.#refcounts.max;
    const room = (current + 1) * clusterBytes - this.#next;
    if (canShare && lengthBytes <= room) {
      this.#refcounts.set(current, this.#refcounts.get(current) + 1);
      return this.#next;
    }
    const next = this.#refcounts.allocate(1);
    if (!canShare || next !== current + 1) return next * clusterBytes;
    this.#refcounts.set(current, this.#refcounts.get(current) + 1);
    return this.#next;
  }
}

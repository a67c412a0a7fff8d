/**
 * Bytes of files kept between questions. One of each belongs to a file; the many small files of a split
 * program share one, so that their number does not multiply the limit.
 */
const MAX_UNIT_BYTES = 16 << 20;
export const PAGE_BYTES = 0x4000;

/** A unit with its bytes in memory. */
interface LoadedUnit {
  readonly sizeBytes: number;
  /** Forgets the bytes. */
  release(): void;
}

/** Units whose bytes are loaded. The least recently used forget theirs when all together are too many. */
export class LoadedUnits {
  readonly #units = new Set<LoadedUnit>();
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes = MAX_UNIT_BYTES) {
    this.#maxBytes = maxBytes;
  }

  touch(unit: LoadedUnit): void {
    if (this.#units.delete(unit)) this.#bytes -= unit.sizeBytes;
    this.#units.add(unit);
    this.#bytes += unit.sizeBytes;
    for (const oldest of this.#units) {
      if (this.#bytes <= this.#maxBytes || oldest === unit) break;
      this.#units.delete(oldest);
      this.#bytes -= oldest.sizeBytes;
      oldest.release();
    }
  }
}

/** Pages of sections that are read at random; the one loaded first goes first. */
export class PageCache {
  readonly #maxPages: number;
  readonly #pages = new Map<number, Uint8Array>();
  #nextOwner = 0;

  constructor(maxPages: number) {
    this.#maxPages = maxPages;
  }

  /** A number for a section that will use the cache. */
  owner(): number {
    return this.#nextOwner++;
  }

  page(owner: number, index: number, load: () => Uint8Array): Uint8Array {
    const key = owner * 2 ** 32 + index;
    const known = this.#pages.get(key);
    if (known !== undefined) return known;
    if (this.#pages.size >= this.#maxPages) {
      const oldest = this.#pages.keys().next().value;
      if (oldest !== undefined) this.#pages.delete(oldest);
    }
    const page = load();
    this.#pages.set(key, page);
    return page;
  }
}

/** What files that belong together share: the caches. */
export interface SharedCaches {
  readonly units: LoadedUnits;
  readonly pages: PageCache;
}

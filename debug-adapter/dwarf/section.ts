/**
 * Sections as this folder sees them: bytes by name, from code that knows the container (ELF, a .dwp's index,
 * a test). Large sections are never held whole: units load their own bytes; strings and lists go through a
 * bounded page cache.
 */
import { PAGE_BYTES, PageCache } from './caches.ts';
import { EndOfDataError, DwarfError } from './dwarfError.ts';
import { Reader } from './reader.ts';

export interface SectionData {
  readonly sizeBytes: number;
  /** Bytes that are inside the section; the caller has checked. May be a view of something larger. */
  read(offset: number, lengthBytes: number): Uint8Array;
}

/** `.debug_info` → its contents, or undefined when the file has none. */
export type SectionLoader = (name: string) => SectionData | undefined;

const MAX_PAGES = 256; // 4 MiB for each section that is read at random
const decoder = new TextDecoder();

export class Section {
  readonly name: string;
  readonly sizeBytes: number;
  readonly littleEndian: boolean;
  readonly #data: SectionData;
  readonly #pages: PageCache;
  readonly #pageOwner: number;

  constructor(
    name: string,
    data: SectionData,
    littleEndian: boolean,
    pages: PageCache = new PageCache(MAX_PAGES),
  ) {
    this.name = name;
    this.#data = data;
    this.sizeBytes = data.sizeBytes;
    this.littleEndian = littleEndian;
    this.#pages = pages;
    this.#pageOwner = pages.owner();
  }

  /** A reader over exactly this piece. */
  reader(offset: number, lengthBytes: number): Reader {
    if (!(offset >= 0 && lengthBytes >= 0 && offset + lengthBytes <= this.sizeBytes)) {
      throw new EndOfDataError(this.name, Math.min(Math.max(offset, 0), this.sizeBytes));
    }
    return new Reader(this.#data.read(offset, lengthBytes), this.littleEndian, this.name, offset);
  }

  /**
   * Runs `parse` on the bytes from `offset`, not knowing how many it needs: a small window first, a larger
   * one when it hits the window's end. `parse` may therefore run more than once.
   */
  parse<T>(offset: number, parse: (reader: Reader) => T, windowBytes = 512): T {
    if (!(offset >= 0 && offset <= this.sizeBytes)) throw new EndOfDataError(this.name, this.sizeBytes);
    const rest = this.sizeBytes - offset;
    for (let window = Math.min(windowBytes, rest); ; window = Math.min(window * 8, rest)) {
      try {
        return parse(this.reader(offset, window));
      } catch (error) {
        if (!(error instanceof EndOfDataError) || error.section !== this.name || window === rest) throw error;
      }
    }
  }

  /**
   * Like parse(), through the page cache: for small things at random offsets (strings, addresses, list
   * offsets).
   */
  cached<T>(offset: number, lengthBytes: number, parse: (reader: Reader) => T): T {
    if (!(offset >= 0 && offset + lengthBytes <= this.sizeBytes)) {
      throw new EndOfDataError(this.name, Math.min(Math.max(offset, 0), this.sizeBytes));
    }
    const inPage = offset % PAGE_BYTES;
    const page = this.#page((offset - inPage) / PAGE_BYTES);
    if (inPage + lengthBytes > page.length) return parse(this.reader(offset, lengthBytes));
    const reader = new Reader(page, this.littleEndian, this.name, offset - inPage);
    reader.pos = inPage;
    return parse(reader);
  }

  /** The NUL-terminated string at `offset`. */
  string(offset: number): string {
    if (!(offset >= 0 && offset < this.sizeBytes))
      throw new DwarfError(this.name, offset, 'string outside its section');
    const inPage = offset % PAGE_BYTES;
    const page = this.#page((offset - inPage) / PAGE_BYTES);
    const end = page.indexOf(0, inPage);
    if (end >= 0) return decoder.decode(page.subarray(inPage, end));
    return this.parse(offset, (reader) => reader.cstring(), PAGE_BYTES);
  }

  #page(index: number): Uint8Array {
    return this.#pages.page(this.#pageOwner, index, () => {
      const start = index * PAGE_BYTES;
      return this.#data.read(start, Math.min(PAGE_BYTES, this.sizeBytes - start));
    });
  }
}

/** A section held in memory. */
export function memorySection(bytes: Uint8Array): SectionData {
  return {
    sizeBytes: bytes.length,
    read: (offset, lengthBytes) => bytes.subarray(offset, offset + lengthBytes),
  };
}

/** A piece of a section, as if it were all of it. The caller has checked that it is inside. */
export function sectionPiece(data: SectionData, offset: number, sizeBytes: number): SectionData {
  return { sizeBytes, read: (at, lengthBytes) => data.read(offset + at, lengthBytes) };
}

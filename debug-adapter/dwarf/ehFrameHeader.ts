/**
 * .eh_frame_hdr: a sorted table from addresses to entries of .eh_frame, so that one is found without reading
 * the others. LSB Core 5 §10.6.2.
 */
import { encodedSize, readEncodedPointer } from './encodedPointer.ts';
import type { Section } from './section.ts';
import { DW_EH_PE } from './sectionConstants.ts';

const VERSION = 1;
const MAX_HEAD_BYTES = 4 + 2 * 10;

interface SearchTable {
  /** Section offset of the first entry. */
  readonly offset: number;
  readonly count: number;
  readonly encoding: number;
  /** Of one pointer; an entry is two. */
  readonly pointerBytes: number;
}

export class EhFrameHeader {
  readonly #section: Section;
  /** Link-time address of the section: DW_EH_PE_datarel counts from it here. */
  readonly #address: number;
  readonly #addressSize: number;
  /** Null when the linker made none. */
  #table: SearchTable | null | undefined;

  constructor(section: Section, address: number, addressSize: number) {
    this.#section = section;
    this.#address = address;
    this.#addressSize = addressSize;
  }

  /**
   * The address of the last FDE that begins at or before `address`; undefined when none does, null without a
   * table to search. Throws DwarfError.
   */
  find(address: number): number | undefined | null {
    const table = (this.#table ??= this.#readHead());
    if (table === null) return null;
    let low = 0;
    let high = table.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#pointer(table, 2 * middle) <= address) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? undefined : this.#pointer(table, 2 * low - 1);
  }

  #readHead(): SearchTable | null {
    const section = this.#section;
    const addressSize = this.#addressSize;
    const reader = section.reader(0, Math.min(MAX_HEAD_BYTES, section.sizeBytes));
    if (reader.u8() !== VERSION) return null;
    const [frameEncoding, countEncoding, encoding] = [reader.u8(), reader.u8(), reader.u8()];
    const pointerBytes = encodedSize(encoding, addressSize);
    if (countEncoding === DW_EH_PE.omit || encoding === DW_EH_PE.omit || pointerBytes === undefined)
      return null;
    const bases = { section: this.#address, data: this.#address };
    if (frameEncoding !== DW_EH_PE.omit) readEncodedPointer(reader, frameEncoding, addressSize, bases);
    const count = readEncodedPointer(reader, countEncoding, addressSize, bases);
    const offset = reader.offset;
    const fits = count >= 0 && offset + 2 * pointerBytes * count <= section.sizeBytes;
    return fits ? { offset, count, encoding, pointerBytes } : null;
  }

  #pointer({ offset, encoding, pointerBytes }: SearchTable, index: number): number {
    const bases = { section: this.#address, data: this.#address };
    return this.#section.cached(offset + index * pointerBytes, pointerBytes, (reader) =>
      readEncodedPointer(reader, encoding, this.#addressSize, bases),
    );
  }
}

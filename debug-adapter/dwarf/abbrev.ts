/**
 * .debug_abbrev: the shapes of a unit's entries. DWARF 5 §7.5.3. Declarations are skipped up to the code that
 * is asked for, and decoded on demand.
 */
import { DW_AT, DW_FORM } from './constants.ts';
import { type UnitFormat, fixedFormSize } from './form.ts';
import type { Reader } from './reader.ts';
import type { Section } from './section.ts';

export interface Abbrev {
  readonly code: number;
  /** DW_TAG */
  readonly tag: number;
  readonly hasChildren: boolean;
  /** DW_AT and DW_FORM of each attribute, in the entry's order. */
  readonly names: readonly number[];
  readonly forms: readonly number[];
  /** Where each value is after the code, as far as the forms before it have fixed sizes; -1 from there on. */
  readonly offsets: readonly number[];
  /** Values of DW_FORM_implicit_const by attribute index. */
  readonly constants: readonly bigint[];
  /** Bytes of the whole entry after its code when every form has a fixed size, else -1. */
  readonly fixedSizeBytes: number;
  /** Index of DW_AT_sibling, or -1: a scanner that does not want the children jumps by it. */
  readonly siblingIndex: number;
}

/** A code past this in a table goes to a map instead of the array, so that one huge code costs nothing. */
const MAX_DENSE_CODE = 0x4000;

export class AbbrevTable {
  readonly #section: Section;
  readonly #format: UnitFormat;
  /**
   * Abbreviations by code, or where their declarations are until they are needed: a unit's root alone needs
   * one of hundreds.
   */
  readonly #dense: (Abbrev | number | undefined)[] = [];
  readonly #sparse = new Map<number, Abbrev | number>();
  /** Where the next declaration not yet passed is; undefined once the table's end was seen. */
  #next: number | undefined;

  constructor(section: Section, offset: number, format: UnitFormat) {
    this.#section = section;
    this.#format = format;
    this.#next = offset;
  }

  get(code: number): Abbrev | undefined {
    const known = this.#dense[code] ?? this.#sparse.get(code);
    if (typeof known === 'object') return known;
    const offset = known ?? this.#findUntil(code);
    if (offset === undefined) return undefined;
    const abbrev = this.#section.parse(offset, (reader) => readAbbrev(reader, this.#format), 0x100);
    if (abbrev !== undefined) this.#put(code, abbrev);
    return abbrev;
  }

  #findUntil(code: number): number | undefined {
    while (this.#next !== undefined) {
      // 4 KiB are about 200 declarations: kernels' tables have 300.
      const found = this.#section.parse(this.#next, (reader) => this.#passWindow(reader, code), 0x1000);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /**
   * Passes over whole declarations up to that of `code`; keeps what it has when the window ends between two
   * of them.
   */
  #passWindow(reader: Reader, code: number): number | undefined {
    let progress = false;
    for (;;) {
      if (progress && reader.remaining < 256 && reader.offset + reader.remaining < this.#section.sizeBytes)
        return undefined;
      const start = reader.offset;
      const passed = passAbbrev(reader);
      this.#next = passed === 0 ? undefined : reader.offset;
      if (passed === 0) return undefined;
      progress = true;
      // A code declared twice keeps its first meaning.
      if (this.#dense[passed] === undefined && !this.#sparse.has(passed)) this.#put(passed, start);
      if (passed === code) return start;
    }
  }

  #put(code: number, value: Abbrev | number): void {
    if (code < MAX_DENSE_CODE) this.#dense[code] = value;
    else this.#sparse.set(code, value);
  }
}

/** The code of the declaration that was passed over; 0 at the table's end. */
function passAbbrev(reader: Reader): number {
  const code = reader.uleb();
  if (code === 0) return 0;
  reader.skipLeb();
  reader.skip(1);
  for (;;) {
    const name = reader.uleb();
    const form = reader.uleb();
    if (name === 0 && form === 0) return code;
    if (form === DW_FORM.implicit_const) reader.skipLeb();
  }
}

function readAbbrev(reader: Reader, format: UnitFormat): Abbrev | undefined {
  const code = reader.uleb();
  if (code === 0) return undefined;
  const tag = reader.uleb();
  const hasChildren = reader.u8() !== 0;
  const names: number[] = [];
  const forms: number[] = [];
  const offsets: number[] = [];
  const constants: bigint[] = [];
  let fixedSizeBytes = 0;
  for (;;) {
    const name = reader.uleb();
    const form = reader.uleb();
    if (name === 0 && form === 0) break;
    if (form === DW_FORM.implicit_const) constants[names.length] = reader.slebBig();
    const sizeBytes = fixedFormSize(form, format);
    offsets.push(fixedSizeBytes);
    fixedSizeBytes = sizeBytes < 0 || fixedSizeBytes < 0 ? -1 : fixedSizeBytes + sizeBytes;
    names.push(name);
    forms.push(form);
  }
  return {
    code,
    tag,
    hasChildren,
    names,
    forms,
    offsets,
    constants,
    fixedSizeBytes,
    siblingIndex: names.indexOf(DW_AT.sibling),
  };
}

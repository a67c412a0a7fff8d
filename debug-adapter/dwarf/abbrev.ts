/** .debug_abbrev: the shapes of a unit's entries. DWARF 5 §7.5.3. Declarations are decoded up to the code that is asked for. */
import { DW_AT, DW_FORM } from './constants.ts';
import { DwarfError } from './dwarfError.ts';
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
  private readonly section: Section;
  private readonly format: UnitFormat;
  private readonly dense: (Abbrev | undefined)[] = [];
  private readonly sparse = new Map<number, Abbrev>();
  /** Where the next undecoded declaration is; undefined once the table's end was seen. */
  private next: number | undefined;

  constructor(section: Section, offset: number, format: UnitFormat) {
    this.section = section;
    this.format = format;
    this.next = offset;
  }

  get(code: number): Abbrev | undefined {
    const known = this.dense[code] ?? this.sparse.get(code);
    if (known !== undefined || this.next === undefined) return known;
    return this.decodeUntil(code);
  }

  private decodeUntil(code: number): Abbrev | undefined {
    while (this.next !== undefined) {
      // 4 KiB are about 200 declarations: kernels' tables have 300.
      const found = this.section.parse(this.next, (reader) => this.decodeWindow(reader, code), 0x1000);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Decodes whole declarations until `code`; keeps what it has when the window ends between two of them. */
  private decodeWindow(reader: Reader, code: number): Abbrev | undefined {
    let progress = false;
    for (;;) {
      if (progress && reader.remaining < 256 && reader.offset + reader.remaining < this.section.sizeBytes)
        return undefined;
      const start = reader.offset;
      const abbrev = readAbbrev(reader, this.format);
      this.next = abbrev && reader.offset;
      if (abbrev === undefined) return undefined;
      if (reader.offset === start) throw new DwarfError(this.section.name, start, 'abbreviation of no bytes');
      progress = true;
      this.add(abbrev);
      if (abbrev.code === code) return abbrev;
    }
  }

  /** A code declared twice keeps its first meaning. */
  private add(abbrev: Abbrev): void {
    if (abbrev.code < MAX_DENSE_CODE) this.dense[abbrev.code] ??= abbrev;
    else if (!this.sparse.has(abbrev.code)) this.sparse.set(abbrev.code, abbrev);
  }
}

function readAbbrev(reader: Reader, format: UnitFormat): Abbrev | undefined {
  const code = reader.uleb();
  if (code === 0) return undefined;
  const tag = reader.uleb();
  const hasChildren = reader.u8() !== 0;
  const names: number[] = [];
  const forms: number[] = [];
  const constants: bigint[] = [];
  let fixedSizeBytes = 0;
  for (;;) {
    const name = reader.uleb();
    const form = reader.uleb();
    if (name === 0 && form === 0) break;
    if (form === DW_FORM.implicit_const) constants[names.length] = reader.slebBig();
    const sizeBytes = fixedFormSize(form, format);
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
    constants,
    fixedSizeBytes,
    siblingIndex: names.indexOf(DW_AT.sibling),
  };
}

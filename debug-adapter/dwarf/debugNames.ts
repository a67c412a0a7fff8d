/**
 * .debug_names: an index of names that a compiler or linker wrote. DWARF 5 §6.1.1, §7.19. Nothing is decoded
 * before it is asked for: a look-up reads one bucket, the name and its entries.
 */
import { DwarfError } from './dwarfError.ts';
import { indirectForm, skipForm, type UnitFormat } from './form.ts';
import { DW_FORM, formName } from './constants.ts';
import type { Reader } from './reader.ts';
import type { Section } from './section.ts';
import { DW_IDX } from './sectionConstants.ts';

/** One entry of a name. Offsets are in .debug_info. */
export interface NameTableEntry {
  /** DW_TAG */
  readonly tag: number;
  /** Of the unit's header; undefined for a type unit in another file. */
  readonly unitOffset: number | undefined;
  readonly dieOffset: number | undefined;
}

interface IndexAbbrev {
  readonly tag: number;
  readonly attributes: readonly { readonly index: number; readonly form: number }[];
}

/** The most that one name may have: a broken list of entries must end somewhere. */
const MAX_ENTRIES = 1 << 20;

/** One name index; a section has one, or one for each unit. */
export class DebugNames {
  /** Compilation units, then type units of this file, in the order of their numbers. */
  readonly unitOffsets: readonly number[];
  readonly nameCount: number;
  /** Who made it: `LLVM0700`, `GDB`. */
  readonly augmentation: string;
  readonly #section: Section;
  readonly #format: UnitFormat;
  readonly #compUnitCount: number;
  readonly #localTypeUnitCount: number;
  readonly #bucketCount: number;
  /** Section offsets of the tables. */
  readonly #buckets: number;
  readonly #hashes: number;
  readonly #stringOffsets: number;
  readonly #entryOffsets: number;
  readonly #entryPool: number;
  readonly #endOffset: number;
  readonly #abbrevs: ReadonlyMap<number, IndexAbbrev>;

  /** Throws DwarfError. */
  private constructor(section: Section, reader: Reader, start: number, end: number, is64: boolean) {
    this.#section = section;
    this.#endOffset = end;
    const version = reader.u16();
    if (version !== 5) throw reader.error(`unsupported version of a name index: ${version}`);
    this.#format = { version, addressSize: 8, is64 };
    reader.skip(2); // padding
    this.#compUnitCount = reader.u32();
    this.#localTypeUnitCount = reader.u32();
    const foreignTypeUnitCount = reader.u32();
    this.#bucketCount = reader.u32();
    this.nameCount = reader.u32();
    const abbrevTableBytes = reader.u32();
    const augmentationBytes = Math.ceil(reader.u32() / 4) * 4;
    this.augmentation = asciiOf(reader.block(augmentationBytes));
    const word = is64 ? 8 : 4;
    let at = start + reader.pos;
    const table = (count: number, sizeBytes: number): number => {
      const offset = at;
      at += count * sizeBytes;
      if (at > end) throw new DwarfError(section.name, offset, 'table of a name index reaches past its end');
      return offset;
    };
    const units = table(this.#compUnitCount + this.#localTypeUnitCount, word);
    table(foreignTypeUnitCount, 8);
    this.#buckets = table(this.#bucketCount, 4);
    this.#hashes = table(this.#bucketCount > 0 ? this.nameCount : 0, 4);
    this.#stringOffsets = table(this.nameCount, word);
    this.#entryOffsets = table(this.nameCount, word);
    const abbrevTable = table(abbrevTableBytes, 1);
    this.#entryPool = at;
    this.#abbrevs = readAbbrevs(section.reader(abbrevTable, abbrevTableBytes));
    const list = section.reader(units, (this.#compUnitCount + this.#localTypeUnitCount) * word);
    this.unitOffsets = Array.from({ length: this.#compUnitCount + this.#localTypeUnitCount }, () =>
      list.sectionOffset(is64),
    );
  }

  /** Every name index of the section; a broken one ends the list with `onProblem`. */
  static readAll(section: Section, onProblem: (problem: DwarfError) => void): DebugNames[] {
    const found: DebugNames[] = [];
    try {
      for (let offset = 0; offset < section.sizeBytes;) {
        const index = section.parse(offset, (reader) => DebugNames.#at(section, reader, offset));
        found.push(index);
        offset = index.#endOffset;
      }
    } catch (error) {
      if (!(error instanceof DwarfError)) throw error;
      onProblem(error);
    }
    return found;
  }

  static #at(section: Section, reader: Reader, start: number): DebugNames {
    const { length, is64 } = reader.initialLength();
    const end = reader.offset + length;
    if (end > section.sizeBytes) throw reader.error('name index reaches past its section');
    return new DebugNames(section, reader, start, end, is64);
  }

  /** Entries of the name. `stringAt` reads .debug_str. Throws DwarfError. */
  *find(name: string, stringAt: (offset: number) => string): Generator<NameTableEntry> {
    for (const index of this.#bucketCount === 0 ? numbers(this.nameCount) : this.#candidates(name)) {
      const { is64 } = this.#format;
      if (stringAt(this.#word(this.#stringOffsets, index)) !== name) continue;
      const offset = this.#entryPool + this.#word(this.#entryOffsets, index);
      if (offset >= this.#endOffset)
        throw new DwarfError(this.#section.name, offset, 'entries outside their name index');
      yield* this.#section.parse(offset, (reader) => this.#readEntries(reader, is64));
    }
  }

  /** Numbers of the names with the same hash. */
  *#candidates(name: string): Generator<number> {
    const hash = hashFolded(name);
    const bucket = hash % this.#bucketCount;
    const first = this.#u32(this.#buckets, bucket);
    for (let index = first - 1; first > 0 && index < this.nameCount; index++) {
      const other = this.#u32(this.#hashes, index);
      if (other % this.#bucketCount !== bucket) return;
      if (other === hash) yield index;
    }
  }

  #readEntries(reader: Reader, is64: boolean): NameTableEntry[] {
    const entries: NameTableEntry[] = [];
    for (;;) {
      if (reader.offset >= this.#endOffset || entries.length >= MAX_ENTRIES)
        throw reader.error('list of entries does not end');
      const code = reader.uleb();
      if (code === 0) return entries;
      const abbrev = this.#abbrevs.get(code);
      if (abbrev === undefined) throw reader.error(`unknown abbreviation code of a name index: ${code}`);
      entries.push(this.#readEntry(reader, abbrev, is64));
    }
  }

  #readEntry(reader: Reader, { tag, attributes }: IndexAbbrev, is64: boolean): NameTableEntry {
    // With one unit its number may be left out (§6.1.1.4.6).
    let unit: number | undefined = this.#compUnitCount === 1 ? 0 : undefined;
    let isLocal = true;
    let place: { readonly value: number; readonly isInUnit: boolean } | undefined;
    for (const { index, form } of attributes) {
      switch (index) {
        case DW_IDX.compile_unit:
          unit = readNumber(reader, form, is64);
          break;
        case DW_IDX.type_unit: {
          const number = readNumber(reader, form, is64);
          isLocal = number < this.#localTypeUnitCount;
          unit = this.#compUnitCount + number;
          break;
        }
        case DW_IDX.die_offset:
          // gdb writes section offsets, and says so by the form.
          place = { isInUnit: form !== DW_FORM.ref_addr, value: readNumber(reader, form, is64) };
          break;
        default:
          skipForm(reader, form, this.#format);
      }
    }
    const unitOffset = unit === undefined || !isLocal ? undefined : this.unitOffsets[unit];
    const base = place?.isInUnit === false ? 0 : unitOffset;
    return {
      tag,
      unitOffset,
      dieOffset: place === undefined || base === undefined ? undefined : base + place.value,
    };
  }

  #word(table: number, index: number): number {
    const { is64 } = this.#format;
    const size = is64 ? 8 : 4;
    return this.#section.cached(table + index * size, size, (reader) => reader.sectionOffset(is64));
  }

  #u32(table: number, index: number): number {
    return this.#section.cached(table + index * 4, 4, (reader) => reader.u32());
  }
}

/** §7.33: Bernstein's hash over the UTF-8 bytes of the case-folded name. */
export function hashFolded(name: string): number {
  let hash = 5381;
  for (const byte of new TextEncoder().encode(name.toLowerCase())) hash = (Math.imul(hash, 33) + byte) >>> 0;
  return hash;
}

function readAbbrevs(reader: Reader): Map<number, IndexAbbrev> {
  const abbrevs = new Map<number, IndexAbbrev>();
  while (!reader.atEnd) {
    const code = reader.uleb();
    if (code === 0) break;
    const tag = reader.uleb();
    const attributes: { index: number; form: number }[] = [];
    for (;;) {
      const index = reader.uleb();
      const form = reader.uleb();
      if (index === 0 && form === 0) break;
      // GNU_internal and the like; no value is stored with the entry.
      if (form === DW_FORM.implicit_const) reader.skipLeb();
      attributes.push({ index, form });
    }
    abbrevs.set(code, { tag, attributes });
  }
  return abbrevs;
}

/** Classes constant and reference. */
function readNumber(reader: Reader, form: number, is64: boolean): number {
  switch (form) {
    case DW_FORM.data1:
    case DW_FORM.ref1:
      return reader.u8();
    case DW_FORM.data2:
    case DW_FORM.ref2:
      return reader.u16();
    case DW_FORM.data4:
    case DW_FORM.ref4:
      return reader.u32();
    case DW_FORM.data8:
    case DW_FORM.ref8:
      return reader.u64Number();
    case DW_FORM.udata:
    case DW_FORM.ref_udata:
      return reader.uleb();
    case DW_FORM.ref_addr:
    case DW_FORM.sec_offset:
      return reader.sectionOffset(is64);
    case DW_FORM.indirect:
      return readNumber(reader, indirectForm(reader), is64);
    default:
      throw reader.error(`unsupported form of an index attribute: ${formName(form)}`);
  }
}

function asciiOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes.subarray(0, 16)).replace(/\0.*$/s, '');
}

function* numbers(count: number): Generator<number> {
  for (let number = 0; number < count; number++) yield number;
}

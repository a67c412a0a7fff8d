/**
 * One unit: its header, its entries, its root entry's attributes and the bases its indexed values count from.
 * DWARF 5 §3.1. A unit makes its entries and each of them refers back to its unit, so the two classes are in
 * one file.
 */
import type { AbbrevTable } from './abbrev.ts';
import { AttributeReader } from './attributeReader.ts';
import { DW_AT, DW_TAG, DW_UT } from './constants.ts';
import { DwarfError } from './dwarfError.ts';
import { offsetSize } from './form.ts';
import type { Reader } from './reader.ts';
import type { Section } from './section.ts';
import type { UnitHeader } from './unitHeader.ts';

/** What other sections need from the root entry; read once, from the unit's first bytes only. */
export interface UnitRoot {
  readonly tag: number;
  readonly name: string | undefined;
  readonly compDir: string | undefined;
  readonly producer: string | undefined;
  readonly language: number | undefined;
  /** DW_AT_stmt_list */
  readonly lineOffset: number | undefined;
  readonly lowPc: number | undefined;
  readonly highPc: number | undefined;
  readonly hasRanges: boolean;
  /** DW_AT_dwo_name or DW_AT_GNU_dwo_name: the rest of the unit is in another file. */
  readonly dwoName: string | undefined;
  readonly dwoId: bigint | undefined;
  readonly addrBase: number | undefined;
  readonly strOffsetsBase: number | undefined;
  readonly rnglistsBase: number | undefined;
  readonly loclistsBase: number | undefined;
  /** DW_AT_GNU_ranges_base of version 4 split units. */
  readonly gnuRangesBase: number | undefined;
}

/** What a unit and its entries need from the file they are in. */
export interface UnitFile {
  /** Distinguishes entries at the same offset in different files: a split program has many. */
  readonly id: number;
  readonly littleEndian: boolean;
  readonly supplement: UnitFile | undefined;
  readonly imports: { compileUnitOf(partial: Unit): Unit | undefined };
  section(name: string): Section | undefined;
  requireSection(name: string): Section;
  string(sectionName: string, offset: number): string;
  abbrevTable(header: UnitHeader): AbbrevTable;
  unitHeaders(): readonly UnitHeader[];
  unitOf(header: UnitHeader): Unit;
  dieAt(offset: number, near?: Unit): Die | undefined;
  typeBySignature(signature: bigint): Die | undefined;
  report(error: unknown): void;
  /** Unit bytes were used. */
  touch(unit: Unit): void;
}

/** What a split unit takes from its skeleton (§3.1.3). */
export interface SkeletonBases {
  readonly addrBase: number | undefined;
  readonly gnuRangesBase: number | undefined;
  readonly lowPc: number | undefined;
  readonly unit: Unit;
  /** The file whose .debug_addr and (version 4) .debug_ranges count. */
  readonly file: UnitFile;
}

/** One debugging information entry (§2.1). A scanner reuses one object for every entry it passes. */
export class Die extends AttributeReader {
  declare readonly unit: Unit;

  constructor(unit: Unit, reader: Reader) {
    super(unit, reader);
  }

  /**
   * The entry an attribute refers to, in any unit or file; undefined when there is none or it cannot be read.
   */
  ref(name: number): Die | undefined {
    const { file } = this.unit;
    const offset = this.refOffset(name);
    if (offset !== undefined) return file.dieAt(offset, this.unit);
    const supplementary = this.supplementOffset(name);
    if (supplementary !== undefined) return file.supplement?.dieAt(supplementary);
    const signature = this.refSignature(name);
    return signature === undefined ? undefined : file.typeBySignature(signature);
  }
}

export class Unit {
  readonly header: UnitHeader;
  readonly file: UnitFile;
  skeleton: SkeletonBases | undefined;
  #knownRoot: UnitRoot | undefined;
  #contents: Reader | undefined;
  #table: AbbrevTable | undefined;

  constructor(file: UnitFile, header: UnitHeader) {
    this.file = file;
    this.header = header;
  }

  get abbrevs(): AbbrevTable {
    return (this.#table ??= this.file.abbrevTable(this.header));
  }

  get root(): UnitRoot {
    return (this.#knownRoot ??= this.#withLanguage(this.#readRoot()));
  }

  /** The entry at a section offset, as an object of its own. Throws DwarfError when there is none. */
  die(offset: number): Die {
    const { entriesOffset, endOffset } = this.header;
    if (offset < entriesOffset || offset >= endOffset) {
      throw new DwarfError(this.header.section.name, offset, 'entry outside its unit');
    }
    const die = new Die(this, this.reader());
    die.moveTo(offset);
    return die;
  }

  rootDie(): Die {
    return this.die(this.header.entriesOffset);
  }

  /** A reader over the whole unit. It is shared: a caller that moves it must not expect it to stay there. */
  reader(): Reader {
    if (this.#contents === undefined) {
      const { section, offset, endOffset } = this.header;
      this.#contents = section.reader(offset, endOffset - offset);
    }
    this.file.touch(this);
    return this.#contents;
  }

  get sizeBytes(): number {
    return this.header.endOffset - this.header.offset;
  }

  /**
   * Forgets the unit's bytes; entries already handed out keep theirs. The file calls this to bound memory.
   */
  release(): void {
    this.#contents = undefined;
    this.#table = undefined;
  }

  /** Base of the unit's range and location lists before any base entry (§2.17.3). */
  get baseAddress(): number {
    return this.root.lowPc ?? this.skeleton?.lowPc ?? 0;
  }

  get isSplit(): boolean {
    return (
      this.header.unitType === DW_UT.split_compile ||
      this.header.unitType === DW_UT.split_type ||
      this.skeleton !== undefined
    );
  }

  /** DW_FORM_strx: through .debug_str_offsets (§7.26). */
  indexedString(index: number, base = this.#strOffsetsBase()): string {
    const { is64 } = this.header;
    const section = this.file.requireSection('.debug_str_offsets');
    const size = offsetSize(this.header);
    const offset = section.cached(base + index * size, size, (reader) => reader.sectionOffset(is64));
    return this.file.string('.debug_str', offset);
  }

  /** DW_FORM_addrx: through .debug_addr (§7.27), which stays in the skeleton's file. */
  indexedAddress(index: number): number {
    const base = this.skeleton?.addrBase ?? this.root.addrBase ?? 0;
    return this.#addressFrom(base, index);
  }

  #addressFrom(base: number, index: number): number {
    const { addressSize } = this.header;
    const section = (this.skeleton?.file ?? this.file).requireSection('.debug_addr');
    return section.cached(base + index * addressSize, addressSize, (reader) => reader.address(addressSize));
  }

  #strOffsetsBase(): number {
    if (this.#knownRoot !== undefined)
      return this.#knownRoot.strOffsetsBase ?? this.#implicitStrOffsetsBase();
    return this.#implicitStrOffsetsBase();
  }

  /** A .dwo file has one table and says nothing: right after the header in version 5, at 0 before (§7.26). */
  #implicitStrOffsetsBase(): number {
    if (this.header.version < 5) return 0;
    return this.header.is64 ? 16 : 8;
  }

  /** Only the first bytes of the unit are read, unless the root is unusually long. */
  #readRoot(): UnitRoot {
    const { section, entriesOffset, endOffset } = this.header;
    const rest = endOffset - entriesOffset;
    return section.parse(
      entriesOffset,
      (reader) => {
        reader.end = Math.min(reader.end, rest);
        return this.#parseRoot(reader);
      },
      256,
    );
  }

  /** Partial units have the language of their importer, and need not state it (§3.1.1.1). */
  #withLanguage(root: UnitRoot): UnitRoot {
    if (root.tag !== DW_TAG.partial_unit || root.language !== undefined) return root;
    return { ...root, language: this.file.imports.compileUnitOf(this)?.root.language };
  }

  #parseRoot(reader: Reader): UnitRoot {
    const die = new Die(this, reader);
    if (!die.moveTo(this.header.entriesOffset)) throw reader.error('unit without a root entry');
    // Strings and addresses may be indexes that count from bases in the same entry: those come first.
    const bases = {
      addrBase: die.sectionOffset(DW_AT.addr_base) ?? die.sectionOffset(DW_AT.GNU_addr_base),
      strOffsetsBase: die.sectionOffset(DW_AT.str_offsets_base),
      rnglistsBase: die.sectionOffset(DW_AT.rnglists_base),
      loclistsBase: die.sectionOffset(DW_AT.loclists_base),
      gnuRangesBase: die.sectionOffset(DW_AT.GNU_ranges_base),
    };
    const placeholder: UnitRoot = { ...EMPTY_ROOT, ...bases, tag: die.tag };
    this.#knownRoot = placeholder;
    try {
      const lowPc = die.has(DW_AT.low_pc) ? die.address(DW_AT.low_pc) : undefined;
      return {
        ...placeholder,
        name: die.string(DW_AT.name),
        compDir: die.string(DW_AT.comp_dir),
        producer: die.string(DW_AT.producer),
        language: die.number(DW_AT.language),
        lineOffset: die.sectionOffset(DW_AT.stmt_list),
        lowPc,
        highPc: lowPc === undefined ? undefined : die.highPc(lowPc),
        hasRanges: die.has(DW_AT.ranges),
        dwoName: die.string(DW_AT.dwo_name) ?? die.string(DW_AT.GNU_dwo_name),
        dwoId: this.header.dwoId ?? die.bigint(DW_AT.GNU_dwo_id),
      };
    } finally {
      this.#knownRoot = undefined;
      // Asking every unit for its root must not leave every unit's abbreviations in memory.
      if (this.#contents === undefined) this.#table = undefined;
    }
  }
}

const EMPTY_ROOT: UnitRoot = {
  tag: 0,
  name: undefined,
  compDir: undefined,
  producer: undefined,
  language: undefined,
  lineOffset: undefined,
  lowPc: undefined,
  highPc: undefined,
  hasRanges: false,
  dwoName: undefined,
  dwoId: undefined,
  addrBase: undefined,
  strOffsetsBase: undefined,
  rnglistsBase: undefined,
  loclistsBase: undefined,
  gnuRangesBase: undefined,
};

/**
 * The DWARF of one file: its sections, its units, and what is shared between them (abbreviations, strings).
 * Knows no container: sections come from the loader. Keeps the bytes of the units used last and no more,
 * whatever the file's size.
 */
import { AbbrevTable } from './abbrev.ts';
import { LoadedUnits, type PageCache, type SharedCaches } from './caches.ts';
import { DwarfError } from './dwarfError.ts';
import { Section, type SectionLoader } from './section.ts';
import { type Die, Unit, type UnitFile } from './unit.ts';
import { UnitImports } from './unitImports.ts';
import { isTypeUnit, type UnitHeader, readUnitHeader, unitEnd } from './unitHeader.ts';

const MAX_ABBREV_TABLES = 64;

export interface DwarfFileOptions {
  readonly littleEndian: boolean;
  /** Called once for every unit or section that turns out broken. */
  readonly onProblem?: (problem: DwarfError) => void;
  /** Of a file that is one of many. */
  readonly caches?: SharedCaches;
  /** A type unit that is not in this file: a package keeps each one separately. */
  readonly typeElsewhere?: (signature: bigint) => Die | undefined;
  /** The supplementary file (§7.3.6): what several files have in common is in that one. */
  readonly supplement?: DwarfFile | undefined;
}

let files = 0;

export class DwarfFile implements UnitFile {
  readonly id = ++files;
  readonly littleEndian: boolean;
  /** Undefined for a file that needs none, or whose supplementary file was not found. */
  readonly supplement: DwarfFile | undefined;
  /** Who imports whom; for a supplementary file, its image knows. */
  imports: UnitImports = new UnitImports(this);
  readonly #loader: SectionLoader;
  readonly #onProblem: (problem: DwarfError) => void;
  readonly #sections = new Map<string, Section | undefined>();
  readonly #unitsByOffset = new Map<string, Unit>();
  readonly #abbrevTables = new Map<string, AbbrevTable>();
  readonly #loaded: LoadedUnits;
  readonly #pages: PageCache | undefined;
  readonly #typeElsewhere: (signature: bigint) => Die | undefined;
  #headers: readonly UnitHeader[] | undefined;
  #signatures: Map<bigint, UnitHeader> | undefined;

  constructor(loader: SectionLoader, options: DwarfFileOptions) {
    this.#loader = loader;
    this.littleEndian = options.littleEndian;
    this.#onProblem = options.onProblem ?? (() => {});
    this.#loaded = options.caches?.units ?? new LoadedUnits();
    this.#pages = options.caches?.pages;
    this.#typeElsewhere = options.typeElsewhere ?? (() => undefined);
    this.supplement = options.supplement;
    if (this.supplement !== undefined) this.supplement.imports = this.imports;
  }

  section(name: string): Section | undefined {
    if (!this.#sections.has(name)) {
      const data = this.#loader(name);
      this.#sections.set(
        name,
        data && data.sizeBytes > 0 ? new Section(name, data, this.littleEndian, this.#pages) : undefined,
      );
    }
    return this.#sections.get(name);
  }

  requireSection(name: string): Section {
    const section = this.section(name);
    if (section === undefined) throw new DwarfError(name, 0, 'section is missing');
    return section;
  }

  /** A string of .debug_str or .debug_line_str. */
  string(sectionName: string, offset: number): string {
    return this.requireSection(sectionName).string(offset);
  }

  /**
   * Headers of every unit of .debug_info, then of .debug_types, in the file's order. Units that cannot be
   * read are left out.
   */
  unitHeaders(): readonly UnitHeader[] {
    return (this.#headers ??= [...this.#walkHeaders('.debug_info'), ...this.#walkHeaders('.debug_types')]);
  }

  /** The unit whose header is at `offset`. Throws DwarfError. */
  unitAt(offset: number, sectionName = '.debug_info'): Unit {
    const key = `${sectionName}+${offset}`;
    const known = this.#unitsByOffset.get(key);
    return known ?? this.unitOf(readUnitHeader(this.requireSection(sectionName), offset));
  }

  unitOf(header: UnitHeader): Unit {
    const key = `${header.section.name}+${header.offset}`;
    let unit = this.#unitsByOffset.get(key);
    if (unit === undefined) {
      unit = new Unit(this, header);
      this.#unitsByOffset.set(key, unit);
    }
    return unit;
  }

  /** The unit that contains a section offset. */
  unitContaining(offset: number, sectionName = '.debug_info'): Unit | undefined {
    const headers = this.unitHeaders();
    let low = 0;
    let high = headers.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const header = headers[middle] as UnitHeader;
      const after =
        header.section.name === sectionName ? header.offset > offset : sectionName === '.debug_info';
      if (after) high = middle;
      else low = middle + 1;
    }
    const header = headers[low - 1];
    const inside = header !== undefined && header.section.name === sectionName && offset < header.endOffset;
    return inside ? this.unitOf(header) : undefined;
  }

  /**
   * The entry at a section offset, wherever it is; `near` is tried first. Undefined when it cannot be read.
   */
  dieAt(offset: number, near?: Unit): Die | undefined {
    const sectionName = near?.header.section.name ?? '.debug_info';
    const isNear = near !== undefined && offset >= near.header.offset && offset < near.header.endOffset;
    const unit = isNear ? near : this.unitContaining(offset, sectionName);
    if (unit === undefined) return undefined;
    try {
      return unit.die(offset);
    } catch (error) {
      this.report(error);
      return undefined;
    }
  }

  /** The type a type unit defines (§3.1.4). */
  typeBySignature(signature: bigint): Die | undefined {
    this.#signatures ??= new Map(
      this.unitHeaders()
        .filter(isTypeUnit)
        .map((header) => [header.typeSignature ?? 0n, header]),
    );
    const header = this.#signatures.get(signature);
    if (header === undefined) return this.#typeElsewhere(signature);
    return this.dieAt(header.offset + (header.typeOffset ?? 0), this.unitOf(header));
  }

  /** Notes a broken unit or section; anything but a DwarfError is a bug of ours and is rethrown. */
  report(error: unknown): void {
    if (!(error instanceof DwarfError)) throw error;
    this.#onProblem(error);
  }

  /** Unit bytes were used: keeps the total of loaded units bounded. */
  touch(unit: Unit): void {
    this.#loaded.touch(unit);
  }

  /** Shared between units that use the same table; units ask when they need it. */
  abbrevTable(header: UnitHeader): AbbrevTable {
    const key = `${header.abbrevOffset}/${header.version}/${header.addressSize}/${header.is64}`;
    let table = this.#abbrevTables.get(key);
    if (table === undefined) {
      const oldest =
        this.#abbrevTables.size >= MAX_ABBREV_TABLES ? this.#abbrevTables.keys().next().value : undefined;
      if (oldest !== undefined) this.#abbrevTables.delete(oldest);
      table = new AbbrevTable(this.requireSection('.debug_abbrev'), header.abbrevOffset, header);
      this.#abbrevTables.set(key, table);
    }
    return table;
  }

  #walkHeaders(sectionName: string): UnitHeader[] {
    const headers: UnitHeader[] = [];
    const section = this.section(sectionName);
    let offset = 0;
    while (section !== undefined && offset < section.sizeBytes) {
      let end: number | undefined;
      try {
        end = unitEnd(section, offset);
        const header = readUnitHeader(section, offset);
        headers.push(header);
      } catch (error) {
        this.report(error);
      }
      if (end === undefined) break;
      offset = end;
    }
    return headers;
  }
}

/**
 * .debug_cu_index and .debug_tu_index of a package file (.dwp): which part of each section belongs to which
 * unit. DWARF 5 §7.3.5, and the GNU version 2 that DWARF 4 packages have.
 */
import { DwarfError } from './dwarfError.ts';
import type { Section } from './section.ts';
import { DW_SECT, DW_SECT_V2 } from './sectionConstants.ts';

/** A piece of a section of the package. */
export interface Contribution {
  readonly offset: number;
  readonly sizeBytes: number;
}

/** By section name without `.dwo`: `.debug_info`. */
export type Contributions = ReadonlyMap<string, Contribution>;

const HEADER_BYTES = 16;
/** A row of the tables has one column for each kind of section; the standard has 8. */
const MAX_COLUMNS = 64;

export class PackageIndex {
  readonly #section: Section;
  readonly #slotCount: number;
  readonly #unitCount: number;
  /** Of each column: its section's name, or undefined for a kind we do not know. */
  readonly #columns: readonly (string | undefined)[];

  /** Throws DwarfError. */
  constructor(section: Section) {
    const reader = section.reader(0, Math.min(HEADER_BYTES, section.sizeBytes));
    // Version 2 is a word; version 5 a half and padding, which reads the same in little-endian files only.
    const word = reader.u32();
    reader.pos = 0;
    const version = word === 2 ? word : reader.u16();
    if (version !== 2 && version !== 5) throw reader.error(`unsupported package index version: ${version}`);
    reader.pos = 4;
    const columnCount = reader.u32();
    this.#unitCount = reader.u32();
    this.#slotCount = reader.u32();
    this.#section = section;
    const slotCount = this.#slotCount;
    const unitCount = this.#unitCount;
    if (columnCount > MAX_COLUMNS) throw reader.error(`package index of ${columnCount} columns`);
    if ((slotCount & (slotCount - 1)) !== 0) throw reader.error(`package index of ${slotCount} slots`);
    const sizeBytes = HEADER_BYTES + 12 * slotCount + 4 * columnCount * (1 + 2 * unitCount);
    if (sizeBytes > section.sizeBytes) throw reader.error('package index reaches past its section');
    this.#columns = this.#readColumns(version, columnCount);
  }

  /**
   * The contributions of the unit with a dwo_id or type signature; undefined when the package does not have
   * it.
   */
  find(signature: bigint): Contributions | undefined {
    const slotCount = this.#slotCount;
    if (slotCount === 0) return undefined;
    const mask = slotCount - 1;
    let slot = Number(signature & 0xffff_ffffn) & mask;
    // §7.3.5.3: odd, so that it meets every slot
    const step = (Number((signature >> 32n) & 0xffff_ffffn) & mask) | 1;
    for (let probes = 0; probes < slotCount; probes++) {
      const row = this.#u32(HEADER_BYTES + 8 * slotCount + 4 * slot);
      if (row === 0) return undefined;
      if (this.#signatureAt(slot) === signature) return this.#contributions(row);
      slot = (slot + step) & mask;
    }
    return undefined;
  }

  /** Of every unit the package has. */
  *signatures(): Generator<bigint> {
    for (let slot = 0; slot < this.#slotCount; slot++)
      if (this.#u32(HEADER_BYTES + 8 * this.#slotCount + 4 * slot) !== 0) yield this.#signatureAt(slot);
  }

  #readColumns(version: number, count: number): (string | undefined)[] {
    const names = version === 2 ? DW_SECT_V2 : DW_SECT;
    const byId = new Map<number, string>(
      Object.entries(names).map(([name, id]) => [id, `.debug_${name.toLowerCase()}`]),
    );
    return Array.from({ length: count }, (_, column) => byId.get(this.#u32(this.#table + 4 * column)));
  }

  /** Where the table of offsets begins, with the row of section kinds. */
  get #table(): number {
    return HEADER_BYTES + 12 * this.#slotCount;
  }

  /** Rows count from 1. */
  #contributions(row: number): Contributions {
    const columns = this.#columns;
    const unitCount = this.#unitCount;
    const table = this.#table;
    if (row > unitCount) throw new DwarfError(this.#section.name, table, `package index has no row ${row}`);
    const rowBytes = 4 * columns.length;
    const found = new Map<string, Contribution>();
    columns.forEach((name, column) => {
      if (name === undefined) return;
      const offset = this.#u32(table + row * rowBytes + 4 * column);
      const sizeBytes = this.#u32(table + (unitCount + row) * rowBytes + 4 * column);
      found.set(name, { offset, sizeBytes });
    });
    return found;
  }

  #signatureAt(slot: number): bigint {
    return this.#section.cached(HEADER_BYTES + 8 * slot, 8, (reader) => reader.u64());
  }

  #u32(offset: number): number {
    return this.#section.cached(offset, 4, (reader) => reader.u32());
  }
}

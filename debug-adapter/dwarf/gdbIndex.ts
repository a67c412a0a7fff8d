/**
 * .gdb_index, versions 7 to 9: an index of names and addresses that gdb-add-index or lld wrote. gdb manual,
 * "Index Section Format". Little endian on every machine. Only the list of units is decoded before it is
 * asked for.
 */
import { DwarfError } from './dwarfError.ts';
import type { Section } from './section.ts';

/** What a symbol is. */
export const GDB_INDEX_SYMBOL_KIND = { none: 0, type: 1, variable: 2, function: 3, other: 4 } as const;

export interface GdbIndexEntry {
  /** GDB_INDEX_SYMBOL_KIND. Enumerators count as variables. */
  readonly kind: number;
  readonly isStatic: boolean;
  readonly unitOffset: number;
}

export interface GdbIndexRange {
  readonly start: number;
  readonly end: number;
  readonly unitOffset: number;
}

const ADDRESS_ENTRY_BYTES = 20;

export class GdbIndex {
  readonly version: number;
  /** Compilation units, then type units (of .debug_types before DWARF 5). */
  readonly unitOffsets: readonly number[];
  /** How many of them are compilation units. */
  readonly compUnitCount: number;
  readonly #section: Section;
  readonly #addressArea: number;
  readonly #symbolTable: number;
  readonly #symbolTableEnd: number;
  readonly #constantPool: number;

  /** Throws DwarfError. */
  constructor(section: Section) {
    this.#section = section;
    this.version = this.#u32(0);
    if (this.version < 7 || this.version > 9)
      throw new DwarfError(section.name, 0, `unsupported version of .gdb_index: ${this.version}`);
    const offsets = Array.from({ length: this.version >= 9 ? 6 : 5 }, (_, index) => this.#u32(4 + 4 * index));
    const [units = 0, types = 0, addresses = 0, symbols = 0, afterSymbols = 0] = offsets;
    const ordered = [...offsets, section.sizeBytes];
    if (ordered.some((offset, index) => index > 0 && offset < (ordered[index - 1] ?? 0)))
      throw new DwarfError(section.name, 4, 'tables of .gdb_index are out of order');
    this.#addressArea = addresses;
    this.#symbolTable = symbols;
    this.#symbolTableEnd = afterSymbols;
    this.#constantPool = offsets.at(-1) ?? 0;
    const slots = (afterSymbols - symbols) / 8;
    if (slots !== 0 && (!Number.isInteger(slots) || !Number.isInteger(Math.log2(slots))))
      throw new DwarfError(section.name, symbols, `symbol table of ${slots} slots`);
    const comp = offsetsIn(section, units, types, 16);
    this.compUnitCount = comp.length;
    this.unitOffsets = [...comp, ...offsetsIn(section, types, addresses, 24)];
  }

  /** Entries of a qualified name. Throws DwarfError. */
  *find(name: string): Generator<GdbIndexEntry> {
    const slots = (this.#symbolTableEnd - this.#symbolTable) / 8;
    const hash = hashGdb(name);
    const step = (Math.imul(hash, 17) & (slots - 1)) | 1;
    let slot = hash & (slots - 1);
    for (let probes = 0; probes < slots; probes++, slot = (slot + step) & (slots - 1)) {
      const nameOffset = this.#u32(this.#symbolTable + 8 * slot);
      const vectorOffset = this.#u32(this.#symbolTable + 8 * slot + 4);
      if (nameOffset === 0 && vectorOffset === 0) return;
      if (this.#section.string(this.#constantPool + nameOffset) !== name) continue;
      yield* this.#vector(this.#constantPool + vectorOffset);
      return;
    }
  }

  /** Which unit covers which addresses. */
  ranges(): GdbIndexRange[] {
    const area = this.#section.reader(this.#addressArea, this.#symbolTable - this.#addressArea);
    const ranges: GdbIndexRange[] = [];
    while (area.remaining >= ADDRESS_ENTRY_BYTES) {
      const start = Number(BigInt.asIntN(64, area.u64()));
      const end = Number(BigInt.asIntN(64, area.u64()));
      const unitOffset = this.unitOffsets[area.u32()];
      if (end > start && unitOffset !== undefined) ranges.push({ start, end, unitOffset });
    }
    return ranges;
  }

  *#vector(offset: number): Generator<GdbIndexEntry> {
    const count = this.#u32(offset);
    for (let index = 0; index < count; index++) {
      const value = this.#u32(offset + 4 + 4 * index);
      const unitOffset = this.unitOffsets[value & 0xffffff];
      if (unitOffset === undefined)
        throw new DwarfError(this.#section.name, offset + 4 + 4 * index, `no unit ${value & 0xffffff}`);
      yield { kind: (value >>> 28) & 7, isStatic: value >>> 31 === 1, unitOffset };
    }
  }

  #u32(offset: number): number {
    return this.#section.cached(offset, 4, (reader) => reader.u32());
  }
}

/** gdb's mapped_index_string_hash: names that differ only in case share a hash. */
export function hashGdb(name: string): number {
  let hash = 0;
  for (const byte of new TextEncoder().encode(name)) {
    const lower = byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
    hash = (Math.imul(hash, 67) + lower - 113) >>> 0;
  }
  return hash;
}

/** The first of the 64-bit numbers of each entry. */
function offsetsIn(section: Section, start: number, end: number, entryBytes: number): number[] {
  const reader = section.reader(start, end - start);
  const offsets: number[] = [];
  while (reader.remaining >= entryBytes) {
    offsets.push(reader.u64Number());
    reader.skip(entryBytes - 8);
  }
  return offsets;
}

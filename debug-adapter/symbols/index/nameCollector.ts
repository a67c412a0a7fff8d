/** Collects the file-scope names of units for a SymbolIndex: hash, place and kind, in arrays that grow. */
import { DW_AT, DW_TAG } from '../../dwarf/constants.ts';
import type { DwarfFile } from '../../dwarf/dwarfFile.ts';
import { Die, type Unit } from '../../dwarf/unit.ts';
import { skipTree } from '../units/unitFunctions.ts';
import {
  hashName,
  NAME_ENUMERATOR,
  NAME_TYPE,
  NAME_VARIABLE,
  nameKind,
  type SymbolIndexData,
} from './symbolIndex.ts';

/**
 * The same structure is in every unit that includes its header: this many definitions of one name and kind
 * are kept.
 */
const MAX_SAME_TYPE = 4;
const MAX_SAME_NAME = 0xffff;
const MAX_TABLE_BYTES = 8 << 20;

const encoder = new TextEncoder();

interface OffsetIds {
  get(offset: number): number | undefined;
  set(offset: number, id: number): unknown;
}

class OffsetTable implements OffsetIds {
  readonly #ids: Int32Array;

  constructor(sizeBytes: number) {
    this.#ids = new Int32Array(sizeBytes);
  }

  get(offset: number): number | undefined {
    const id = this.#ids[offset];
    return id === undefined || id === 0 ? undefined : id - 1;
  }

  set(offset: number, id: number): void {
    this.#ids[offset] = id + 1;
  }
}

export class NameCollector {
  #hashes = new Uint32Array(1 << 16);
  #offsets = new Float64Array(1 << 16);
  #kinds = new Uint8Array(1 << 16);
  #count = 0;
  /**
   * Small numbers for names, by their place in .debug_str or by their text: maps of small integers are quick.
   */
  readonly #idByOffset: OffsetIds;
  readonly #idByText = new Map<string, number>();
  readonly #hashById: number[] = [];
  /** How many entries were kept of each name and kind: [id * 8 + kind]. */
  #kept = new Uint16Array(1 << 18);

  constructor(file: DwarfFile) {
    const stringBytes = file.section('.debug_str')?.sizeBytes ?? 0;
    // Direct indexing is three times as fast as a map, while the table fits.
    this.#idByOffset =
      stringBytes <= MAX_TABLE_BYTES ? new OffsetTable(stringBytes) : new Map<number, number>();
  }

  addUnit(unit: Unit): void {
    this.#scan(unit, unit.header.entriesOffset, 0);
  }

  finish(): Pick<SymbolIndexData, 'hashes' | 'offsets' | 'kinds'> {
    const order = Uint32Array.from({ length: this.#count }, (_, index) => index);
    const hashes = this.#hashes;
    const offsets = this.#offsets;
    const kinds = this.#kinds;
    order.sort(
      (a, b) =>
        (hashes[a] as number) - (hashes[b] as number) || (offsets[a] as number) - (offsets[b] as number),
    );
    return {
      hashes: Uint32Array.from(order, (index) => hashes[index] as number),
      offsets: Float64Array.from(order, (index) => offsets[index] as number),
      kinds: Uint8Array.from(order, (index) => kinds[index] as number),
    };
  }

  #scan(unit: Unit, parentOffset: number, depth: number): void {
    const { endOffset } = unit.header;
    const die = new Die(unit, unit.reader());
    if (!die.moveTo(parentOffset) || !die.hasChildren) return;
    let offset = die.nextOffset;
    while (offset < endOffset && die.moveTo(offset)) {
      const { hasChildren, tag } = die;
      const kind = nameKind(tag);
      if (kind !== 0 && !die.has(DW_AT.declaration)) this.#addDie(die, kind, offset);
      else if (kind === NAME_VARIABLE) this.#addDeclaration(die, offset);
      if (tag === DW_TAG.enumeration_type && hasChildren) this.#addEnumerators(unit, offset);
      if ((tag === DW_TAG.namespace || tag === DW_TAG.module) && depth < 32)
        this.#scan(unit, offset, depth + 1);
      if (hasChildren) offset = skipTree(die, offset, endOffset);
      else {
        if (tag === DW_TAG.enumeration_type || tag === DW_TAG.namespace) die.moveTo(offset);
        offset = die.nextOffset;
      }
    }
  }

  #addEnumerators(unit: Unit, offset: number): void {
    const { endOffset } = unit.header;
    const child = new Die(unit, unit.reader());
    child.moveTo(offset);
    for (let at = child.nextOffset; at < endOffset && child.moveTo(at); at = child.nextOffset) {
      if (child.tag !== DW_TAG.enumerator || child.hasChildren) return;
      this.#addDie(child, NAME_ENUMERATOR, offset);
    }
  }

  /**
   * `extern int x;` in the first unit that has it: the type of what the linker or an assembler file defines
   * (Linux's `jiffies`). An entry that defines it comes later, and has the same place.
   */
  #addDeclaration(die: Die, offset: number): void {
    const id = this.#nameId(die);
    if (id >= 0 && (this.#kept[id * 8 + NAME_VARIABLE] ?? 0) === 0) this.#addName(id, NAME_VARIABLE, offset);
  }

  #addDie(die: Die, kind: number, offset: number): void {
    const id = this.#nameId(die);
    if (id >= 0) this.#addName(id, kind, offset);
  }

  #addName(id: number, kind: number, offset: number): void {
    const slot = id * 8 + kind;
    if (slot >= this.#kept.length) {
      const wider = new Uint16Array(this.#kept.length * 2);
      wider.set(this.#kept);
      this.#kept = wider;
    }
    const kept = this.#kept[slot] as number;
    if (kept >= (kind >= NAME_TYPE ? MAX_SAME_TYPE : MAX_SAME_NAME)) return;
    this.#kept[slot] = kept + 1;
    if (this.#count === this.#hashes.length) this.#grow();
    this.#hashes[this.#count] = this.#hashById[id] as number;
    this.#offsets[this.#count] = offset;
    this.#kinds[this.#count] = kind;
    this.#count++;
  }

  /**
   * -1 for an entry without a name. The linker has merged equal strings of .debug_str: their offset
   * identifies them.
   */
  #nameId(die: Die): number {
    const offset = die.strpOffset(DW_AT.name);
    if (offset === undefined) return this.#textId(die);
    let id = this.#idByOffset.get(offset);
    if (id === undefined) {
      id = this.#newId(die.string(DW_AT.name) ?? '');
      this.#idByOffset.set(offset, id);
    }
    return id;
  }

  /** Names in place, indexed, or of the entry that is completed (§2.13.2) or instantiated (§3.3.8.2). */
  #textId(die: Die): number {
    const name =
      die.string(DW_AT.name) ??
      die.ref(DW_AT.specification)?.string(DW_AT.name) ??
      die.ref(DW_AT.abstract_origin)?.string(DW_AT.name);
    if (name === undefined) return -1;
    let id = this.#idByText.get(name);
    if (id === undefined) {
      id = this.#newId(name);
      this.#idByText.set(name, id);
    }
    return id;
  }

  #newId(name: string): number {
    this.#hashById.push(hashName(encoder.encode(name)));
    return this.#hashById.length - 1;
  }

  #grow(): void {
    const capacity = this.#hashes.length * 2;
    const hashes = new Uint32Array(capacity);
    hashes.set(this.#hashes);
    this.#hashes = hashes;
    const offsets = new Float64Array(capacity);
    offsets.set(this.#offsets);
    this.#offsets = offsets;
    const kinds = new Uint8Array(capacity);
    kinds.set(this.#kinds);
    this.#kinds = kinds;
  }
}

/**
 * Which unit an address belongs to. .debug_aranges answers if present, else the address area of .gdb_index;
 * units they do not mention (clang writes none) have their root entry's ranges read the first time an address
 * is found nowhere.
 */
import type { Range } from '../../dwarf/address.ts';
import { readAranges } from '../../dwarf/aranges.ts';
import { DW_TAG, DW_UT } from '../../dwarf/constants.ts';
import type { DwarfFile } from '../../dwarf/dwarfFile.ts';
import { GdbIndex } from '../../dwarf/gdbIndex.ts';
import { rangesOf } from '../../dwarf/ranges.ts';
import type { Unit } from '../../dwarf/unit.ts';
import type { UnitHeader } from '../../dwarf/unitHeader.ts';

interface UnitRange extends Range {
  readonly unitOffset: number;
  /** Once it was asked for. */
  unit?: Unit;
}

export class UnitRanges {
  readonly #file: DwarfFile;
  readonly #isCode: (address: number) => boolean;
  #ranges: UnitRange[] | undefined;
  readonly #listed = new Set<number>();
  #complete = false;

  constructor(file: DwarfFile, isCode: (address: number) => boolean) {
    this.#file = file;
    this.#isCode = isCode;
  }

  unitAt(address: number): Unit | undefined {
    this.#ranges ??= this.#fromAranges();
    const range = this.#find(address) ?? (this.#addUnlisted() ? this.#find(address) : undefined);
    if (range === undefined) return undefined;
    try {
      return (range.unit ??= this.#file.unitAt(range.unitOffset));
    } catch (error) {
      this.#file.report(error);
      return undefined;
    }
  }

  #find(address: number): UnitRange | undefined {
    const ranges = this.#ranges ?? [];
    let low = 0;
    let high = ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((ranges[middle] as UnitRange).start <= address) low = middle + 1;
      else high = middle;
    }
    const range = ranges[low - 1];
    return range !== undefined && address < range.end ? range : undefined;
  }

  #fromAranges(): UnitRange[] {
    const section = this.#file.section('.debug_aranges');
    const entries =
      section === undefined
        ? this.#fromGdbIndex()
        : readAranges(section, (problem) => this.#file.report(problem));
    for (const { unitOffset } of entries) this.#listed.add(unitOffset);
    return entries.filter(({ start }) => this.#isCode(start)).sort(byStart);
  }

  #fromGdbIndex(): readonly UnitRange[] {
    const section = this.#file.littleEndian ? this.#file.section('.gdb_index') : undefined;
    try {
      return section === undefined ? [] : new GdbIndex(section).ranges();
    } catch (error) {
      this.#file.report(error);
      return [];
    }
  }

  /** Whether anything was added. Once only. */
  #addUnlisted(): boolean {
    if (this.#complete) return false;
    this.#complete = true;
    const added: UnitRange[] = [];
    for (const header of this.#file.unitHeaders()) {
      if (this.#listed.has(header.offset) || !mayHaveCode(header)) continue;
      try {
        for (const range of unitCode(this.#file.unitOf(header))) {
          if (this.#isCode(range.start)) added.push({ ...range, unitOffset: header.offset });
        }
      } catch (error) {
        this.#file.report(error);
      }
    }
    if (added.length > 0) this.#ranges = [...(this.#ranges ?? []), ...added].sort(byStart);
    return added.length > 0;
  }
}

function unitCode(unit: Unit): readonly Range[] {
  const { root } = unit;
  if (root.tag === DW_TAG.partial_unit || root.tag === DW_TAG.type_unit) return [];
  if (root.hasRanges) return rangesOf(unit.rootDie());
  const { lowPc, highPc } = root;
  return lowPc !== undefined && highPc !== undefined && highPc > lowPc ? [{ start: lowPc, end: highPc }] : [];
}

function mayHaveCode(header: UnitHeader): boolean {
  return header.unitType === DW_UT.compile || header.unitType === DW_UT.skeleton;
}

function byStart(a: Range, b: Range): number {
  return a.start - b.start;
}

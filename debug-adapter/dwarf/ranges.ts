/**
 * Non-contiguous address ranges: .debug_rnglists (DWARF 5 §2.17.3, §7.25) and .debug_ranges (DWARF 4
 * §2.17.3).
 */
import type { Range } from './address.ts';
import { DW_AT } from './constants.ts';
import { offsetSize } from './form.ts';
import type { Reader } from './reader.ts';
import { DW_RLE, rangeEntryName } from './sectionConstants.ts';
import type { Die, Unit } from './unit.ts';

/**
 * The code an entry covers: DW_AT_ranges, else DW_AT_low_pc to DW_AT_high_pc; empty when it has none. Throws
 * DwarfError.
 */
export function rangesOf(die: Die): readonly Range[] {
  if (die.has(DW_AT.ranges)) {
    const offset = die.sectionOffset(DW_AT.ranges, (index) => rangeListOffset(die.unit, index));
    return offset === undefined ? [] : readRangeList(die.unit, offset);
  }
  if (!die.has(DW_AT.high_pc) || !die.has(DW_AT.low_pc)) return [];
  const start = die.address(DW_AT.low_pc);
  const end = start === undefined ? undefined : die.highPc(start);
  return start !== undefined && end !== undefined && end > start ? [{ start, end }] : [];
}

/** DW_FORM_rnglistx: through the offset table that DW_AT_rnglists_base points at (§7.28). */
export function rangeListOffset(unit: Unit, index: number): number {
  // a .dwo has one table, after its header
  const base = unit.root.rnglistsBase ?? (unit.header.is64 ? 20 : 12);
  const size = offsetSize(unit.header);
  const section = unit.file.requireSection('.debug_rnglists');
  return base + section.cached(base + index * size, size, (reader) => reader.sectionOffset(unit.header.is64));
}

export function readRangeList(unit: Unit, offset: number): readonly Range[] {
  if (unit.header.version >= 5) {
    const section = unit.file.requireSection('.debug_rnglists');
    return section.parse(offset, (reader) => parseRnglist(reader, unit));
  }
  // Version 4 split units keep their ranges in the skeleton's file, from DW_AT_GNU_ranges_base on.
  const file = unit.skeleton?.file ?? unit.file;
  const base = unit.skeleton?.gnuRangesBase ?? 0;
  return file.requireSection('.debug_ranges').parse(base + offset, (reader) => parseRanges(reader, unit));
}

function parseRnglist(reader: Reader, unit: Unit): Range[] {
  const { addressSize } = unit.header;
  const ranges: Range[] = [];
  let base = unit.baseAddress;
  for (;;) {
    const kind = reader.u8();
    switch (kind) {
      case DW_RLE.end_of_list:
        return ranges;
      case DW_RLE.base_addressx:
        base = unit.indexedAddress(reader.uleb());
        break;
      case DW_RLE.startx_endx:
        add(ranges, unit.indexedAddress(reader.uleb()), unit.indexedAddress(reader.uleb()));
        break;
      case DW_RLE.startx_length: {
        const start = unit.indexedAddress(reader.uleb());
        add(ranges, start, start + reader.uleb());
        break;
      }
      case DW_RLE.offset_pair: {
        const start = reader.uleb();
        add(ranges, base + start, base + reader.uleb());
        break;
      }
      case DW_RLE.base_address:
        base = reader.address(addressSize);
        break;
      case DW_RLE.start_end: {
        const start = reader.address(addressSize);
        add(ranges, start, reader.address(addressSize));
        break;
      }
      case DW_RLE.start_length: {
        const start = reader.address(addressSize);
        add(ranges, start, start + reader.uleb());
        break;
      }
      default:
        // Operands of unknown kinds have unknown lengths: nothing after it can be read.
        throw reader.error(`unsupported range list entry: ${rangeEntryName(kind)}`);
    }
  }
}

function parseRanges(reader: Reader, unit: Unit): Range[] {
  const { addressSize } = unit.header;
  const largest = addressSize === 8 ? -1 : 2 ** (8 * addressSize) - 1;
  const ranges: Range[] = [];
  let base = unit.baseAddress;
  for (;;) {
    const start = reader.address(addressSize);
    const end = reader.address(addressSize);
    if (start === 0 && end === 0) return ranges;
    if (start === largest) base = end;
    else add(ranges, base + start, base + end);
  }
}

function add(ranges: Range[], start: number, end: number): void {
  if (end > start) ranges.push({ start, end });
}

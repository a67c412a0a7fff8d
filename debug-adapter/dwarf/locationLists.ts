/** Location lists: .debug_loclists (DWARF 5 §2.6.2, §7.7.3) and .debug_loc (DWARF 4 §2.6.2). */
import { offsetSize } from './form.ts';
import type { Reader } from './reader.ts';
import { DW_LLE, locationEntryName } from './sectionConstants.ts';
import type { Die, Unit } from './unit.ts';

/**
 * The location expression of an attribute at a link-time address: an expression of its own, or the entry of
 * its list that covers the address. Undefined when the attribute is missing or nothing covers the address:
 * the object is not available there. Throws DwarfError.
 */
export function expressionAt(die: Die, attribute: number, address: number): Uint8Array | undefined {
  const block = die.block(attribute);
  if (block !== undefined) return block;
  const offset = die.sectionOffset(attribute, (index) => locationListOffset(die.unit, index));
  return offset === undefined ? undefined : findInList(die.unit, offset, address);
}

/** DW_FORM_loclistx: through the offset table that DW_AT_loclists_base points at (§7.29). */
function locationListOffset(unit: Unit, index: number): number {
  const base = unit.root.loclistsBase ?? (unit.header.is64 ? 20 : 12);
  const size = offsetSize(unit.header);
  const section = unit.file.requireSection('.debug_loclists');
  return base + section.cached(base + index * size, size, (reader) => reader.sectionOffset(unit.header.is64));
}

function findInList(unit: Unit, offset: number, address: number): Uint8Array | undefined {
  if (unit.header.version >= 5) {
    const section = unit.file.requireSection('.debug_loclists');
    return section.parse(offset, (reader) => findInLoclists(reader, unit, address));
  }
  const section = unit.file.requireSection('.debug_loc');
  return section.parse(offset, (reader) =>
    unit.isSplit ? findInSplitLoc(reader, unit, address) : findInLoc(reader, unit, address),
  );
}

function findInLoclists(reader: Reader, unit: Unit, address: number): Uint8Array | undefined {
  const { addressSize } = unit.header;
  let base = unit.baseAddress;
  let fallback: Uint8Array | undefined;
  for (;;) {
    const kind = reader.u8();
    let start = 0;
    let end = 0;
    switch (kind) {
      case DW_LLE.end_of_list:
        return fallback;
      case DW_LLE.base_addressx:
        base = unit.indexedAddress(reader.uleb());
        continue;
      case DW_LLE.base_address:
        base = reader.address(addressSize);
        continue;
      case DW_LLE.GNU_view_pair:
        reader.skipLeb();
        reader.skipLeb();
        continue;
      case DW_LLE.startx_endx:
        start = unit.indexedAddress(reader.uleb());
        end = unit.indexedAddress(reader.uleb());
        break;
      case DW_LLE.startx_length:
        start = unit.indexedAddress(reader.uleb());
        end = start + reader.uleb();
        break;
      case DW_LLE.offset_pair:
        start = base + reader.uleb();
        end = base + reader.uleb();
        break;
      case DW_LLE.default_location:
        fallback = reader.block(reader.uleb());
        continue;
      case DW_LLE.start_end:
        start = reader.address(addressSize);
        end = reader.address(addressSize);
        break;
      case DW_LLE.start_length:
        start = reader.address(addressSize);
        end = start + reader.uleb();
        break;
      default:
        throw reader.error(`unsupported location list entry: ${locationEntryName(kind)}`);
    }
    const expression = reader.block(reader.uleb());
    if (address >= start && address < end) return expression;
  }
}

function findInLoc(reader: Reader, unit: Unit, address: number): Uint8Array | undefined {
  const { addressSize } = unit.header;
  const largest = addressSize === 8 ? -1 : 2 ** (8 * addressSize) - 1;
  let base = unit.baseAddress;
  for (;;) {
    const start = reader.address(addressSize);
    const end = reader.address(addressSize);
    if (start === 0 && end === 0) return undefined;
    if (start === largest) {
      base = end;
      continue;
    }
    const expression = reader.block(reader.u16());
    if (address >= base + start && address < base + end) return expression;
  }
}

/**
 * .debug_loc.dwo of GNU's version 4 split units: kinds as in version 5's first drafts, lengths of 2 bytes.
 */
function findInSplitLoc(reader: Reader, unit: Unit, address: number): Uint8Array | undefined {
  let base = unit.baseAddress;
  for (;;) {
    const kind = reader.u8();
    let start = 0;
    let end = 0;
    switch (kind) {
      case 0: // DW_LLE_GNU_end_of_list_entry
        return undefined;
      case 1: // DW_LLE_GNU_base_address_selection_entry
        base = unit.indexedAddress(reader.uleb());
        continue;
      case 2: // DW_LLE_GNU_start_end_entry
        start = unit.indexedAddress(reader.uleb());
        end = unit.indexedAddress(reader.uleb());
        break;
      case 3: // DW_LLE_GNU_start_length_entry
        start = unit.indexedAddress(reader.uleb());
        end = start + reader.u32();
        break;
      case 4: // DW_LLE_GNU_offset_pair_entry
        start = base + reader.u32();
        end = base + reader.u32();
        break;
      default:
        throw reader.error(`unsupported location list entry: DW_LLE_GNU_<0x${kind.toString(16)}>`);
    }
    const expression = reader.block(reader.u16());
    if (address >= start && address < end) return expression;
  }
}

/** Unit headers of .debug_info (DWARF 5 §7.5.1) and of version 4's .debug_types. */
import { DW_UT, unitTypeName } from './constants.ts';
import type { UnitFormat } from './form.ts';
import type { Reader } from './reader.ts';
import type { Section } from './section.ts';

export interface UnitHeader extends UnitFormat {
  readonly section: Section;
  /** Of the unit_length field, in its section. */
  readonly offset: number;
  /** DW_UT; version 4 and older units get the type their section implies. */
  readonly unitType: number;
  readonly abbrevOffset: number;
  /** Offset in the section of the root entry. */
  readonly entriesOffset: number;
  /** Offset in the section after the unit. */
  readonly endOffset: number;
  /** Of skeleton and split units (§7.5.1.2). */
  readonly dwoId?: bigint;
  /** Of type units (§7.5.1.3), with the type's offset from the unit's start. */
  readonly typeSignature?: bigint;
  readonly typeOffset?: number;
}

/** Whether the unit defines one type, and shares the line table of the unit it was taken out of (§3.1.4). */
export function isTypeUnit({ unitType }: UnitHeader): boolean {
  return unitType === DW_UT.type || unitType === DW_UT.split_type;
}

/** Longest header: 64-bit format, type unit. */
const MAX_HEADER_BYTES = 12 + 2 + 1 + 1 + 8 + 8 + 8;

export function readUnitHeader(section: Section, offset: number): UnitHeader {
  const lengthBytes = Math.min(MAX_HEADER_BYTES, section.sizeBytes - offset);
  return parseHeader(section, offset, section.reader(offset, lengthBytes));
}

function parseHeader(section: Section, offset: number, reader: Reader): UnitHeader {
  const { length, is64 } = reader.initialLength();
  const endOffset = reader.offset + length;
  if (endOffset > section.sizeBytes)
    throw reader.error(`unit of 0x${length.toString(16)} bytes reaches past its section`);
  const version = reader.u16();
  if (version < 2 || version > 5) throw reader.error(`unsupported DWARF version: ${version}`);
  const isTypes = section.name.startsWith('.debug_types');
  let unitType: number = isTypes ? DW_UT.type : DW_UT.compile;
  let addressSize: number;
  let abbrevOffset: number;
  if (version >= 5) {
    unitType = reader.u8();
    addressSize = reader.u8();
    abbrevOffset = reader.sectionOffset(is64);
  } else {
    abbrevOffset = reader.sectionOffset(is64);
    addressSize = reader.u8();
  }
  if (![1, 2, 4, 8].includes(addressSize)) throw reader.error(`unsupported address size: ${addressSize}`);
  const format = { version, addressSize, is64 };
  const extra = readExtra(reader, unitType, is64);
  if (reader.offset > endOffset) throw reader.error('unit shorter than its header');
  return {
    section,
    offset,
    ...format,
    unitType,
    abbrevOffset,
    ...extra,
    entriesOffset: reader.offset,
    endOffset,
  };
}

function readExtra(
  reader: Reader,
  unitType: number,
  is64: boolean,
): { dwoId?: bigint; typeSignature?: bigint; typeOffset?: number } {
  switch (unitType) {
    case DW_UT.compile:
    case DW_UT.partial:
      return {};
    case DW_UT.skeleton:
    case DW_UT.split_compile:
      return { dwoId: reader.u64() };
    case DW_UT.type:
    case DW_UT.split_type:
      return { typeSignature: reader.u64(), typeOffset: reader.sectionOffset(is64) };
    default:
      throw reader.error(`unsupported unit type: ${unitTypeName(unitType)}`);
  }
}

/**
 * Where an unreadable unit ends, if its length at least makes sense, so that one broken unit does not hide
 * the rest.
 */
export function unitEnd(section: Section, offset: number): number | undefined {
  const reader = section.reader(offset, Math.min(12, section.sizeBytes - offset));
  const { length } = reader.initialLength();
  const end = reader.offset + length;
  return end > offset && end <= section.sizeBytes ? end : undefined;
}

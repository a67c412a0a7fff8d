/** Sizes of attribute forms, and skipping a value without decoding it. DWARF 5 §7.5.5, §7.5.6. */
import { DW_FORM, formName } from './constants.ts';
import type { Reader } from './reader.ts';

/** What decides how a unit's values are laid out. */
export interface UnitFormat {
  readonly version: number;
  readonly addressSize: number;
  /** The 64-bit DWARF format (§7.4): offsets of 8 bytes. */
  readonly is64: boolean;
}

/** The bytes a form takes, or -1 when that depends on the value. */
export function fixedFormSize(form: number, format: UnitFormat): number {
  switch (form) {
    case DW_FORM.flag_present:
    case DW_FORM.implicit_const:
      return 0;
    case DW_FORM.data1:
    case DW_FORM.ref1:
    case DW_FORM.flag:
    case DW_FORM.strx1:
    case DW_FORM.addrx1:
      return 1;
    case DW_FORM.data2:
    case DW_FORM.ref2:
    case DW_FORM.strx2:
    case DW_FORM.addrx2:
      return 2;
    case DW_FORM.strx3:
    case DW_FORM.addrx3:
      return 3;
    case DW_FORM.data4:
    case DW_FORM.ref4:
    case DW_FORM.strx4:
    case DW_FORM.addrx4:
    case DW_FORM.ref_sup4:
      return 4;
    case DW_FORM.data8:
    case DW_FORM.ref8:
    case DW_FORM.ref_sig8:
    case DW_FORM.ref_sup8:
      return 8;
    case DW_FORM.data16:
      return 16;
    case DW_FORM.addr:
      return format.addressSize;
    case DW_FORM.ref_addr:
      // DWARF 2 had it the size of an address (§7.5.5, note of version 3).
      return format.version <= 2 ? format.addressSize : offsetSize(format);
    case DW_FORM.strp:
    case DW_FORM.line_strp:
    case DW_FORM.strp_sup:
    case DW_FORM.sec_offset:
    case DW_FORM.GNU_ref_alt:
    case DW_FORM.GNU_strp_alt:
      return offsetSize(format);
    default:
      return -1;
  }
}

export function offsetSize(format: UnitFormat): number {
  return format.is64 ? 8 : 4;
}

/**
 * Skips one value. A form of unknown size is the one thing that cannot be skipped: the rest of the unit is
 * then unreadable, so that is an error of the unit.
 */
export function skipForm(reader: Reader, form: number, format: UnitFormat): void {
  const sizeBytes = fixedFormSize(form, format);
  if (sizeBytes >= 0) {
    reader.skip(sizeBytes);
    return;
  }
  switch (form) {
    case DW_FORM.udata:
    case DW_FORM.sdata:
    case DW_FORM.ref_udata:
    case DW_FORM.strx:
    case DW_FORM.addrx:
    case DW_FORM.loclistx:
    case DW_FORM.rnglistx:
    case DW_FORM.GNU_addr_index:
    case DW_FORM.GNU_str_index:
      return reader.skipLeb();
    case DW_FORM.string:
      return reader.skipCstring();
    case DW_FORM.block:
    case DW_FORM.exprloc:
      return reader.skip(reader.uleb());
    case DW_FORM.block1:
      return reader.skip(reader.u8());
    case DW_FORM.block2:
      return reader.skip(reader.u16());
    case DW_FORM.block4:
      return reader.skip(reader.u32());
    case DW_FORM.indirect:
      return skipForm(reader, indirectForm(reader), format);
    default:
      throw reader.error(`unsupported attribute form: ${formName(form)}`);
  }
}

/**
 * The form an indirect value announces (§7.5.3); one that announces another indirect or a value it cannot
 * carry is broken.
 */
export function indirectForm(reader: Reader): number {
  const form = reader.uleb();
  if (form === DW_FORM.indirect || form === DW_FORM.implicit_const) {
    throw reader.error(`indirect form announces ${formName(form)}`);
  }
  return form;
}

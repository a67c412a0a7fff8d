/**
 * Opcodes and entry kinds of the sections other than .debug_info: lines, ranges, locations, frames, macros,
 * indexes. Names are the standard's without the family's prefix; values that are only the ends of vendor
 * ranges are left out.
 */
import { nameTable } from './nameTable.ts';

/** Standard opcodes of line programs. DWARF 5 §7.22, Table 7.25. */
export const DW_LNS = {
  copy: 0x01,
  advance_pc: 0x02,
  advance_line: 0x03,
  set_file: 0x04,
  set_column: 0x05,
  negate_stmt: 0x06,
  set_basic_block: 0x07,
  const_add_pc: 0x08,
  fixed_advance_pc: 0x09,
  set_prologue_end: 0x0a,
  set_epilogue_begin: 0x0b,
  set_isa: 0x0c,
} as const;

/** Extended opcodes of line programs. DWARF 5 §7.22, Table 7.26. */
export const DW_LNE = {
  end_sequence: 0x01,
  set_address: 0x02,
  define_file: 0x03,
  set_discriminator: 0x04,
  NVIDIA_inlined_call: 0x90,
  NVIDIA_set_function_name: 0x91,
} as const;

/** Content types of line program file tables. DWARF 5 §7.22, Table 7.27. */
export const DW_LNCT = {
  path: 0x01,
  directory_index: 0x02,
  timestamp: 0x03,
  size: 0x04,
  MD5: 0x05,
} as const;

/** Range list entries. DWARF 5 §7.25, Table 7.30. */
export const DW_RLE = {
  end_of_list: 0x00,
  base_addressx: 0x01,
  startx_endx: 0x02,
  startx_length: 0x03,
  offset_pair: 0x04,
  base_address: 0x05,
  start_end: 0x06,
  start_length: 0x07,
} as const;

/** Location list entries. DWARF 5 §7.7.3, Table 7.10. */
export const DW_LLE = {
  end_of_list: 0x00,
  base_addressx: 0x01,
  startx_endx: 0x02,
  startx_length: 0x03,
  offset_pair: 0x04,
  default_location: 0x05,
  base_address: 0x06,
  start_end: 0x07,
  start_length: 0x08,
  GNU_view_pair: 0x09,
} as const;

/**
 * Call frame instructions. DWARF 5 §7.24, Table 7.29. advance_loc, offset and restore keep an operand in
 * their low 6 bits.
 */
export const DW_CFA = {
  advance_loc: 0x40,
  offset: 0x80,
  restore: 0xc0,
  nop: 0x00,
  set_loc: 0x01,
  advance_loc1: 0x02,
  advance_loc2: 0x03,
  advance_loc4: 0x04,
  offset_extended: 0x05,
  restore_extended: 0x06,
  undefined: 0x07,
  same_value: 0x08,
  register: 0x09,
  remember_state: 0x0a,
  restore_state: 0x0b,
  def_cfa: 0x0c,
  def_cfa_register: 0x0d,
  def_cfa_offset: 0x0e,
  def_cfa_expression: 0x0f,
  expression: 0x10,
  offset_extended_sf: 0x11,
  def_cfa_sf: 0x12,
  def_cfa_offset_sf: 0x13,
  val_offset: 0x14,
  val_offset_sf: 0x15,
  val_expression: 0x16,
  MIPS_advance_loc8: 0x1d,
  GNU_window_save: 0x2d,
  AARCH64_negate_ra_state: 0x2d,
  GNU_args_size: 0x2e,
  GNU_negative_offset_extended: 0x2f,
} as const;

/** Pointer encodings of .eh_frame. LSB Core 5 §10.5.1. */
export const DW_EH_PE = {
  absptr: 0x00,
  omit: 0xff,
  uleb128: 0x01,
  udata2: 0x02,
  udata4: 0x03,
  udata8: 0x04,
  sleb128: 0x09,
  sdata2: 0x0a,
  sdata4: 0x0b,
  sdata8: 0x0c,
  signed: 0x08,
  pcrel: 0x10,
  textrel: 0x20,
  datarel: 0x30,
  funcrel: 0x40,
  aligned: 0x50,
  indirect: 0x80,
} as const;

/** Macro entries. DWARF 5 §7.23, Table 7.28. */
export const DW_MACRO = {
  define: 0x01,
  undef: 0x02,
  start_file: 0x03,
  end_file: 0x04,
  define_strp: 0x05,
  undef_strp: 0x06,
  import: 0x07,
  define_sup: 0x08,
  undef_sup: 0x09,
  import_sup: 0x0a,
  define_strx: 0x0b,
  undef_strx: 0x0c,
} as const;

/** Entries of .debug_macinfo. DWARF 4 §7.22, Figure 42. */
export const DW_MACINFO = {
  define: 0x01,
  undef: 0x02,
  start_file: 0x03,
  end_file: 0x04,
  vendor_ext: 0xff,
} as const;

/** Index attributes of .debug_names. DWARF 5 §7.19, Table 7.23. */
export const DW_IDX = {
  compile_unit: 0x01,
  type_unit: 0x02,
  die_offset: 0x03,
  parent: 0x04,
  type_hash: 0x05,
  GNU_internal: 0x2000,
  GNU_external: 0x2001,
} as const;

/**
 * Section identifiers of package files; their names are those of the sections. DWARF 5 §7.3.5.3, Table 7.1.
 */
export const DW_SECT = {
  INFO: 0x01,
  ABBREV: 0x03,
  LINE: 0x04,
  LOCLISTS: 0x05,
  STR_OFFSETS: 0x06,
  MACRO: 0x07,
  RNGLISTS: 0x08,
} as const;

/** The same in the GNU version 2 of the index, for DWARF 4. */
export const DW_SECT_V2 = {
  INFO: 0x01,
  TYPES: 0x02,
  ABBREV: 0x03,
  LINE: 0x04,
  LOC: 0x05,
  STR_OFFSETS: 0x06,
  MACINFO: 0x07,
  MACRO: 0x08,
} as const;

export const standardOpcodeName = nameTable('DW_LNS', DW_LNS);
export const extendedOpcodeName = nameTable('DW_LNE', DW_LNE);
export const contentTypeName = nameTable('DW_LNCT', DW_LNCT);
export const rangeEntryName = nameTable('DW_RLE', DW_RLE);
export const locationEntryName = nameTable('DW_LLE', DW_LLE);
export const frameInstructionName = nameTable('DW_CFA', DW_CFA);
export const macroEntryName = nameTable('DW_MACRO', DW_MACRO);

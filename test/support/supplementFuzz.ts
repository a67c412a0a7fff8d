/** A program and its supplementary file (DWARF 5 §7.3.6) for the fuzz tests of the DWARF reader. */
import { DW_AT, DW_FORM, DW_TAG, DW_UT } from '../../debug-adapter/dwarf/constants.ts';
import { DwarfFile } from '../../debug-adapter/dwarf/dwarfFile.ts';
import { Bytes } from './bytes.ts';
import { loaderOf } from './dwarfBuilder.ts';
import type { Sections } from './fuzz.ts';

/**
 * What dwz -m makes of a program: a unit that imports a partial unit of the supplementary file (here the
 * sections with `alt`), and has names and types there, in GNU's forms and in version 5's.
 */
export function withSupplement(): Sections {
  const abbrevs = new Bytes()
    .uleb(1, DW_TAG.compile_unit)
    .u8(1)
    .uleb(DW_AT.producer, DW_FORM.GNU_strp_alt, 0, 0)
    .uleb(2, DW_TAG.imported_unit)
    .u8(0)
    .uleb(DW_AT.import, DW_FORM.GNU_ref_alt, 0, 0)
    .uleb(3, DW_TAG.variable)
    .u8(0)
    .uleb(DW_AT.name, DW_FORM.strp_sup, DW_AT.type, DW_FORM.ref_sup4, 0, 0)
    .uleb(4, DW_TAG.variable)
    .u8(0)
    .uleb(DW_AT.name, DW_FORM.GNU_strp_alt, DW_AT.type, DW_FORM.ref_sup8, 0, 0)
    .u8(0);
  const entries = new Bytes()
    .uleb(1)
    .u32(0)
    .uleb(2)
    .u32(12)
    .uleb(3)
    .u32(4)
    .u32(14)
    .uleb(4)
    .u32(0)
    .u64(14)
    .u8(0);
  const altAbbrevs = new Bytes()
    .uleb(1, DW_TAG.partial_unit)
    .u8(1)
    .uleb(DW_AT.language, DW_FORM.data1, 0, 0)
    .uleb(2, DW_TAG.base_type)
    .u8(0)
    .uleb(DW_AT.name, DW_FORM.strp, DW_AT.byte_size, DW_FORM.data1, 0, 0)
    .u8(0);
  const unit = (type: number, content: Bytes): Uint8Array =>
    new Bytes().sized((bytes) => bytes.u16(5).u8(type, 8).u32(0).bytes(content.done())).done();
  return new Map([
    ['.debug_info', unit(DW_UT.compile, entries)],
    ['.debug_abbrev', abbrevs.done()],
    ['alt.debug_info', unit(DW_UT.partial, new Bytes().uleb(1).u8(12).uleb(2).u32(4).u8(4).u8(0))],
    ['alt.debug_abbrev', altAbbrevs.done()],
    ['alt.debug_str', new Bytes().cstring('GNU', 'int').done()],
  ]);
}

export function openSupplemented(sections: Sections): DwarfFile {
  const alt = [...sections].flatMap(([name, bytes]) => {
    return name.startsWith('alt') ? [[name.slice('alt'.length), bytes] as const] : [];
  });
  const supplement = new DwarfFile(loaderOf(new Map(alt)), { littleEndian: true });
  return new DwarfFile(loaderOf(sections), { littleEndian: true, supplement });
}

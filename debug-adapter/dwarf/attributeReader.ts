/**
 * From entry to entry of a unit (DWARF 5 §7.5.2), with typed access to their attributes. Values are decoded
 * when asked for. What refers to other entries is left to Die (unit.ts).
 */
import type { Abbrev, AbbrevTable } from './abbrev.ts';
import { DW_AT, DW_FORM, attributeName, formName } from './constants.ts';
import { indirectForm, skipForm } from './form.ts';
import type { Reader } from './reader.ts';
import type { UnitHeader } from './unitHeader.ts';

/** What attribute values are read with: the unit's formats, tables and strings. */
export interface AttributeUnit {
  readonly header: UnitHeader;
  readonly abbrevs: AbbrevTable;
  readonly file: {
    /** A string of .debug_str or .debug_line_str. */
    string(sectionName: string, offset: number): string;
    readonly supplement: { string(sectionName: string, offset: number): string } | undefined;
  };
  indexedString(index: number): string;
  indexedAddress(index: number): number;
}

export class AttributeReader {
  readonly unit: AttributeUnit;
  /** Offset in the unit's section. */
  offset = 0;
  tag = 0;
  hasChildren = false;
  #abbrev: Abbrev | undefined;
  /** Its position means nothing between two questions: each one moves it to what it reads. */
  readonly #reader: Reader;
  /** Index in the reader of the first attribute's value. */
  #valuesPos = 0;

  constructor(unit: AttributeUnit, reader: Reader) {
    this.unit = unit;
    this.#reader = reader;
  }

  /**
   * Moves to the entry at a section offset. False at a null entry (the end of a list of siblings), which has
   * no tag.
   */
  moveTo(offset: number): boolean {
    const reader = this.#reader;
    reader.pos = offset - reader.base;
    if (!(reader.pos >= 0)) throw reader.error('entry before its unit');
    this.offset = offset;
    const code = reader.uleb();
    if (code === 0) {
      this.tag = 0;
      this.hasChildren = false;
      this.#abbrev = undefined;
      this.#valuesPos = reader.pos;
      return false;
    }
    const abbrev = this.unit.abbrevs.get(code);
    if (abbrev === undefined) throw reader.error(`unknown abbreviation code: ${code}`);
    this.#abbrev = abbrev;
    this.tag = abbrev.tag;
    this.hasChildren = abbrev.hasChildren;
    this.#valuesPos = reader.pos;
    return true;
  }

  /** Section offset after this entry's attributes: of its first child, or of what follows it. */
  get nextOffset(): number {
    const abbrev = this.#abbrev;
    const reader = this.#reader;
    if (abbrev === undefined) return reader.base + this.#valuesPos;
    if (abbrev.fixedSizeBytes >= 0) return reader.base + this.#valuesPos + abbrev.fixedSizeBytes;
    reader.pos = this.#valuesPos;
    for (const form of abbrev.forms) skipForm(reader, form, this.unit.header);
    return reader.offset;
  }

  /**
   * DW_AT_sibling's target when the producer left one and it leads forward: lets a scanner jump over the
   * children.
   */
  get siblingOffset(): number | undefined {
    if (this.#abbrev === undefined || this.#abbrev.siblingIndex < 0) return undefined;
    const target = this.refOffset(DW_AT.sibling);
    return target !== undefined && target > this.offset && target <= this.unit.header.endOffset
      ? target
      : undefined;
  }

  /** Every attribute's name and form, for dumps. */
  get attributes(): readonly { name: number; form: number }[] {
    const { names = [], forms = [] } = this.#abbrev ?? {};
    return names.map((name, index) => ({ name, form: forms[index] ?? 0 }));
  }

  has(name: number): boolean {
    return this.#abbrev?.names.includes(name) ?? false;
  }

  /** Class string. */
  string(name: number): string | undefined {
    const form = this.#seek(name);
    if (form === undefined) return undefined;
    const { unit } = this;
    const reader = this.#reader;
    const { is64 } = unit.header;
    switch (form) {
      case DW_FORM.string:
        return reader.cstring();
      case DW_FORM.strp:
        return unit.file.string('.debug_str', reader.sectionOffset(is64));
      case DW_FORM.line_strp:
        return unit.file.string('.debug_line_str', reader.sectionOffset(is64));
      case DW_FORM.strx:
      case DW_FORM.GNU_str_index:
        return unit.indexedString(reader.uleb());
      case DW_FORM.strx1:
        return unit.indexedString(reader.u8());
      case DW_FORM.strx2:
        return unit.indexedString(reader.u16());
      case DW_FORM.strx3:
        return unit.indexedString(reader.u24());
      case DW_FORM.strx4:
        return unit.indexedString(reader.u32());
      case DW_FORM.strp_sup:
      case DW_FORM.GNU_strp_alt:
        return unit.file.supplement?.string('.debug_str', reader.sectionOffset(is64));
      default:
        throw this.#unexpected(name, form, 'a string');
    }
  }

  /** The offset in .debug_str of a string that is there: equal offsets are equal strings. */
  strpOffset(name: number): number | undefined {
    if (this.#seek(name) !== DW_FORM.strp) return undefined;
    return this.#reader.sectionOffset(this.unit.header.is64);
  }

  /** Class address. */
  address(name: number): number | undefined {
    const form = this.#seek(name);
    return form === undefined ? undefined : this.#addressHere(name, form);
  }

  /** Class constant, as a number: lines, sizes, encodings, counts. Values of 2^53 and more are rounded. */
  number(name: number): number | undefined {
    const form = this.#seek(name);
    return form === undefined ? undefined : this.#numberHere(name, form);
  }

  /** Class constant with all its bits. `signed` decides for the forms that do not say (data1 to data8). */
  bigint(name: number, signed = false): bigint | undefined {
    const form = this.#seek(name);
    if (form === undefined) return undefined;
    const reader = this.#reader;
    switch (form) {
      case DW_FORM.data1:
      case DW_FORM.flag:
        return BigInt(signed ? reader.s8() : reader.u8());
      case DW_FORM.data2:
        return BigInt(signed ? reader.s16() : reader.u16());
      case DW_FORM.data4:
        return BigInt(signed ? reader.s32() : reader.u32());
      case DW_FORM.data8:
        return signed ? reader.s64() : reader.u64();
      case DW_FORM.data16: {
        const [low, high] = reader.littleEndian
          ? [reader.u64(), reader.u64()]
          : [reader.u64(), reader.u64()].reverse();
        const value = ((high ?? 0n) << 64n) | (low ?? 0n);
        return signed ? BigInt.asIntN(128, value) : value;
      }
      case DW_FORM.udata:
        return reader.ulebBig();
      case DW_FORM.sdata:
        return reader.slebBig();
      case DW_FORM.implicit_const:
        return this.#implicitConstant(name);
      default:
        return undefined;
    }
  }

  flag(name: number): boolean {
    const form = this.#seek(name);
    if (form === undefined) return false;
    return form === DW_FORM.flag_present || this.#numberHere(name, form) !== 0;
  }

  /** Class exprloc or block: a view of the bytes. */
  block(name: number): Uint8Array | undefined {
    const form = this.#seek(name);
    if (form === undefined) return undefined;
    const reader = this.#reader;
    switch (form) {
      case DW_FORM.exprloc:
      case DW_FORM.block:
        return reader.block(reader.uleb());
      case DW_FORM.block1:
        return reader.block(reader.u8());
      case DW_FORM.block2:
        return reader.block(reader.u16());
      case DW_FORM.block4:
        return reader.block(reader.u32());
      case DW_FORM.data16:
        return reader.block(16);
      default:
        return undefined;
    }
  }

  /**
   * Classes lineptr, macptr, rnglist, loclist as an offset: sec_offset, and before version 4 data4 or data8
   * (§7.5.5). An index form (rnglistx, loclistx) is resolved by `lookUp`.
   */
  sectionOffset(name: number, lookUp?: (index: number) => number): number | undefined {
    const form = this.#seek(name);
    if (form === undefined) return undefined;
    const { unit } = this;
    const reader = this.#reader;
    switch (form) {
      case DW_FORM.sec_offset:
        return reader.sectionOffset(unit.header.is64);
      case DW_FORM.data4:
        return unit.header.version < 4 ? reader.u32() : undefined;
      case DW_FORM.data8:
        return unit.header.version < 4 ? reader.u64Number() : undefined;
      case DW_FORM.rnglistx:
      case DW_FORM.loclistx:
        return lookUp?.(reader.uleb());
      default:
        return undefined;
    }
  }

  /**
   * Class reference inside the same section, as a section offset. Others: see refSignature, supplementOffset.
   */
  refOffset(name: number): number | undefined {
    const form = this.#seek(name);
    if (form === undefined) return undefined;
    const { unit } = this;
    const reader = this.#reader;
    switch (form) {
      case DW_FORM.ref1:
        return unit.header.offset + reader.u8();
      case DW_FORM.ref2:
        return unit.header.offset + reader.u16();
      case DW_FORM.ref4:
        return unit.header.offset + reader.u32();
      case DW_FORM.ref8:
        return unit.header.offset + reader.u64Number();
      case DW_FORM.ref_udata:
        return unit.header.offset + reader.uleb();
      case DW_FORM.ref_addr:
        return unit.header.version <= 2
          ? reader.address(unit.header.addressSize)
          : reader.sectionOffset(unit.header.is64);
      default:
        return undefined;
    }
  }

  /** The signature of the type unit an attribute refers to (DW_FORM_ref_sig8). */
  refSignature(name: number): bigint | undefined {
    return this.#seek(name) === DW_FORM.ref_sig8 ? this.#reader.u64() : undefined;
  }

  /** The offset in .debug_info of the supplementary file that an attribute refers to. */
  supplementOffset(name: number): number | undefined {
    const form = this.#seek(name);
    if (form === undefined) return undefined;
    const { unit } = this;
    const reader = this.#reader;
    switch (form) {
      case DW_FORM.ref_sup4:
        return reader.u32();
      case DW_FORM.ref_sup8:
        return reader.u64Number();
      case DW_FORM.GNU_ref_alt:
        return reader.sectionOffset(unit.header.is64);
      default:
        return undefined;
    }
  }

  /** DW_AT_high_pc: an address, or since version 4 a constant counted from low_pc (§2.17.2). */
  highPc(lowPc: number): number | undefined {
    const form = this.#seek(DW_AT.high_pc);
    if (form === undefined) return undefined;
    if (isAddress(form)) return this.#addressHere(DW_AT.high_pc, form);
    const size = this.#numberHere(DW_AT.high_pc, form);
    return size === undefined ? undefined : lowPc + size;
  }

  /** `form` is what seek() returned just before, here and below: the reader is at the value. */
  #numberHere(name: number, form: number): number | undefined {
    const reader = this.#reader;
    switch (form) {
      case DW_FORM.data1:
      case DW_FORM.flag:
        return reader.u8();
      case DW_FORM.data2:
        return reader.u16();
      case DW_FORM.data4:
        return reader.u32();
      case DW_FORM.data8:
        return reader.u64Number();
      case DW_FORM.udata:
        return reader.uleb();
      case DW_FORM.sdata:
        return reader.sleb();
      case DW_FORM.implicit_const:
        return Number(this.#implicitConstant(name));
      case DW_FORM.sec_offset:
        return reader.sectionOffset(this.unit.header.is64);
      default:
        // a bound or size may also be an expression or a reference: the caller asks for those
        return undefined;
    }
  }

  #addressHere(name: number, form: number): number {
    const { unit } = this;
    const reader = this.#reader;
    switch (form) {
      case DW_FORM.addr:
        return reader.address(unit.header.addressSize);
      case DW_FORM.addrx:
      case DW_FORM.GNU_addr_index:
        return unit.indexedAddress(reader.uleb());
      case DW_FORM.addrx1:
        return unit.indexedAddress(reader.u8());
      case DW_FORM.addrx2:
        return unit.indexedAddress(reader.u16());
      case DW_FORM.addrx3:
        return unit.indexedAddress(reader.u24());
      case DW_FORM.addrx4:
        return unit.indexedAddress(reader.u32());
      default:
        throw this.#unexpected(name, form, 'an address');
    }
  }

  /** Puts the reader at an attribute's value. Returns the form it has there, after indirection. */
  #seek(name: number): number | undefined {
    const abbrev = this.#abbrev;
    const reader = this.#reader;
    if (abbrev === undefined) return undefined;
    const index = abbrev.names.indexOf(name);
    if (index < 0) return undefined;
    const offset = abbrev.offsets[index] as number;
    if (offset >= 0) reader.pos = this.#valuesPos + offset;
    else this.#passValues(abbrev, index);
    const form = abbrev.forms[index] as number;
    return form === DW_FORM.indirect ? indirectForm(reader) : form;
  }

  #passValues({ forms }: Abbrev, count: number): void {
    const reader = this.#reader;
    reader.pos = this.#valuesPos;
    for (let index = 0; index < count; index++) skipForm(reader, forms[index] as number, this.unit.header);
  }

  #implicitConstant(name: number): bigint {
    const { names = [], constants = [] } = this.#abbrev ?? {};
    return constants[names.indexOf(name)] ?? 0n;
  }

  #unexpected(name: number, form: number, wanted: string): Error {
    return this.#reader.error(`${attributeName(name)} is ${formName(form)}, not ${wanted}`);
  }
}

function isAddress(form: number): boolean {
  return (
    form === DW_FORM.addr ||
    form === DW_FORM.GNU_addr_index ||
    form === DW_FORM.addrx ||
    (form >= DW_FORM.addrx1 && form <= DW_FORM.addrx4)
  );
}

/**
 * Builds .debug_info, .debug_abbrev, .debug_str and .debug_line for tests from trees of entries, byte by byte
 * as the standard lays them out, so that a test shows the bytes it is about. Every entry gets its own
 * abbreviation.
 */
import { DW_AT, DW_FORM, DW_TAG, DW_UT } from '../../debug-adapter/dwarf/constants.ts';
import { type SectionLoader, memorySection } from '../../debug-adapter/dwarf/section.ts';
import { Bytes } from './bytes.ts';

/** A reference to an entry by its label. */
export interface LabelRef {
  readonly label: string;
}

export type AttributeValue = number | bigint | string | boolean | Uint8Array | LabelRef;

/** DW_AT, DW_FORM, value. */
export type BuiltAttribute = readonly [name: number, form: number, value: AttributeValue];

export interface BuiltDie {
  readonly tag: number;
  readonly attributes: readonly BuiltAttribute[];
  readonly children?: readonly BuiltDie[];
  readonly label?: string;
}

export interface BuiltFormat {
  readonly version?: number;
  readonly addressSize?: number;
  readonly is64?: boolean;
  readonly littleEndian?: boolean;
}

export function die(
  tag: number,
  attributes: readonly BuiltAttribute[],
  children?: readonly BuiltDie[],
  label?: string,
): BuiltDie {
  return { tag, attributes, ...(children && { children }), ...(label !== undefined && { label }) };
}

/** Its name is its label. `encoding` is one of DW_ATE. */
export function baseType(name: string, encoding: number, sizeBytes: number): BuiltDie {
  const attributes: readonly BuiltAttribute[] = [
    [DW_AT.name, DW_FORM.string, name],
    [DW_AT.byte_size, DW_FORM.data1, sizeBytes],
    [DW_AT.encoding, DW_FORM.data1, encoding],
  ];
  return die(DW_TAG.base_type, attributes, undefined, name);
}

export class DwarfBuilder {
  readonly version: number;
  readonly addressSize: number;
  readonly is64: boolean;
  readonly littleEndian: boolean;
  readonly #info: Bytes;
  readonly #abbrev: Bytes;
  readonly #strings: Bytes;
  readonly #extra = new Map<string, Uint8Array>();
  readonly #labels = new Map<string, number>();
  readonly #patches: { at: number; label: string; unitStart: number }[] = [];
  #nextCode = 1;

  constructor(format: BuiltFormat = {}) {
    this.version = format.version ?? 5;
    this.addressSize = format.addressSize ?? 8;
    this.is64 = format.is64 ?? false;
    this.littleEndian = format.littleEndian ?? true;
    this.#info = new Bytes(this.littleEndian);
    this.#abbrev = new Bytes(this.littleEndian);
    this.#strings = new Bytes(this.littleEndian).cstring('');
  }

  get offsetSize(): number {
    return this.is64 ? 8 : 4;
  }

  /** Appends a unit with its own abbreviation table. Returns its offset in .debug_info. */
  unit(root: BuiltDie, unitType: number = DW_UT.compile, header: Uint8Array = new Uint8Array(0)): number {
    const unitStart = this.#info.length;
    const body = new Bytes(this.littleEndian);
    const abbrevOffset = this.#abbrev.length;
    body.u16(this.version);
    if (this.version >= 5)
      body.u8(unitType, this.addressSize).word(this.offsetSize, abbrevOffset).bytes(header);
    else body.word(this.offsetSize, abbrevOffset).u8(this.addressSize);
    const bodyStart = unitStart + (this.is64 ? 12 : 4);
    this.#entry(body, bodyStart, unitStart, root);
    this.#abbrev.u8(0);
    if (this.is64) this.#info.u32(0xffffffff).u64(body.length);
    else this.#info.u32(body.length);
    this.#info.bytes(body.done());
    return unitStart;
  }

  section(name: string, bytes: Uint8Array): this {
    this.#extra.set(name, bytes);
    return this;
  }

  /** The offset in .debug_info of a labelled entry, once its unit was added. */
  offsetOf(label: string): number {
    const offset = this.#labels.get(label);
    if (offset === undefined) throw new Error(`no entry is labelled ${label}`);
    return offset;
  }

  string(text: string): number {
    const offset = this.#strings.length;
    this.#strings.cstring(text);
    return offset;
  }

  sections(): Map<string, Uint8Array> {
    for (const { at, label, unitStart } of this.#patches)
      this.#info.patch32(at, this.offsetOf(label) - unitStart);
    this.#patches.length = 0;
    return new Map([
      ['.debug_info', this.#info.done()],
      ['.debug_abbrev', this.#abbrev.done()],
      ['.debug_str', this.#strings.done()],
      ...this.#extra,
    ]);
  }

  loader(): SectionLoader {
    return loaderOf(this.sections());
  }

  #entry(body: Bytes, bodyStart: number, unitStart: number, entry: BuiltDie): void {
    const code = this.#nextCode++;
    this.#abbrev.uleb(code, entry.tag).u8(entry.children === undefined ? 0 : 1);
    for (const [name, form, value] of entry.attributes) {
      this.#abbrev.uleb(name, form);
      if (form === DW_FORM.implicit_const) this.#abbrev.sleb(value as number);
    }
    this.#abbrev.u8(0, 0);
    if (entry.label !== undefined) this.#labels.set(entry.label, bodyStart + body.length);
    body.uleb(code);
    for (const [, form, value] of entry.attributes) this.#value(body, bodyStart, unitStart, form, value);
    if (entry.children === undefined) return;
    for (const child of entry.children) this.#entry(body, bodyStart, unitStart, child);
    body.u8(0);
  }

  #value(body: Bytes, bodyStart: number, unitStart: number, form: number, value: AttributeValue): void {
    const number = typeof value === 'bigint' ? value : Number(value);
    switch (form) {
      case DW_FORM.string:
        body.cstring(value as string);
        return;
      case DW_FORM.strp:
        body.word(this.offsetSize, this.string(value as string));
        return;
      case DW_FORM.flag_present:
      case DW_FORM.implicit_const:
        return;
      case DW_FORM.flag:
      case DW_FORM.data1:
      case DW_FORM.ref1:
      case DW_FORM.strx1:
      case DW_FORM.addrx1:
        body.word(1, number);
        return;
      case DW_FORM.data2:
      case DW_FORM.ref2:
        body.word(2, number);
        return;
      case DW_FORM.data4:
        body.word(4, number);
        return;
      case DW_FORM.data8:
      case DW_FORM.ref_sig8:
        body.word(8, number);
        return;
      case DW_FORM.addr:
        body.word(this.addressSize, number);
        return;
      case DW_FORM.ref4:
      case DW_FORM.ref_addr:
        if (typeof value !== 'object' || value instanceof Uint8Array)
          throw new Error('a reference needs a label');
        this.#patches.push({
          at: bodyStart + body.length,
          label: value.label,
          unitStart: form === DW_FORM.ref4 ? unitStart : 0,
        });
        body.word(form === DW_FORM.ref4 ? 4 : this.offsetSize, 0);
        return;
      case DW_FORM.sec_offset:
      case DW_FORM.line_strp:
        body.word(this.offsetSize, number);
        return;
      case DW_FORM.udata:
      case DW_FORM.strx:
      case DW_FORM.addrx:
      case DW_FORM.rnglistx:
      case DW_FORM.loclistx:
        body.uleb(number);
        return;
      case DW_FORM.sdata:
        body.sleb(number);
        return;
      case DW_FORM.exprloc:
      case DW_FORM.block:
        body.uleb((value as Uint8Array).length).bytes(value as Uint8Array);
        return;
      case DW_FORM.block1:
        body.u8((value as Uint8Array).length).bytes(value as Uint8Array);
        return;
      case DW_FORM.data16:
        body.bytes(value as Uint8Array);
        return;
      default:
        throw new Error(`the builder has no form 0x${form.toString(16)}`);
    }
  }
}

export function loaderOf(sections: ReadonlyMap<string, Uint8Array>): SectionLoader {
  return (name) => {
    const bytes = sections.get(name);
    return bytes && memorySection(bytes);
  };
}

export interface BuiltLineProgram extends BuiltFormat {
  readonly directories?: readonly string[];
  readonly files?: readonly { name: string; directory: number }[];
  readonly lineBase?: number;
  readonly lineRange?: number;
  readonly opcodeBase?: number;
  readonly minimumInstructionLength?: number;
  readonly maximumOperations?: number;
  /** Opcodes, see DW_LNS. */
  readonly program: (bytes: Bytes) => void;
}

/** A line program with one header; strings are in place in every version. */
export function buildLineProgram(recipe: BuiltLineProgram): Uint8Array {
  const { version = 5, addressSize = 8, is64 = false, littleEndian = true, opcodeBase = 13 } = recipe;
  const { directories = ['/src'], files = [{ name: 'a.c', directory: 0 }] } = recipe;
  const header = new Bytes(littleEndian).u8(recipe.minimumInstructionLength ?? 1);
  if (version >= 4) header.u8(recipe.maximumOperations ?? 1);
  header.u8(1, recipe.lineBase ?? -5, recipe.lineRange ?? 14, opcodeBase);
  header.bytes([0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1, 2, 2, 2, 2].slice(0, opcodeBase - 1));
  if (version >= 5) {
    header
      .u8(1)
      .uleb(1, DW_FORM.string)
      .uleb(directories.length)
      .cstring(...directories);
    header.u8(2).uleb(1, DW_FORM.string, 2, DW_FORM.udata).uleb(files.length);
    for (const { name, directory } of files) header.cstring(name).uleb(directory);
  } else {
    header.cstring(...directories).u8(0);
    for (const { name, directory } of files) header.cstring(name).uleb(directory, 0, 0);
    header.u8(0);
  }
  const offsetSize = is64 ? 8 : 4;
  const body = new Bytes(littleEndian).u16(version);
  if (version >= 5) body.u8(addressSize, 0);
  body.word(offsetSize, header.length).bytes(header.done());
  recipe.program(body);
  const out = new Bytes(littleEndian);
  if (is64) out.u32(0xffffffff).u64(body.length);
  else out.u32(body.length);
  return out.bytes(body.done()).done();
}

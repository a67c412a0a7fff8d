/**
 * The head of a line number program: parameters and the tables of directories and files. DWARF 5 §6.2.4,
 * DWARF 4 §6.2.4.
 */
import { DW_FORM, formName } from './constants.ts';
import { type UnitFormat, skipForm } from './form.ts';
import type { Reader } from './reader.ts';
import type { Section } from './section.ts';
import { DW_LNCT } from './sectionConstants.ts';

/** Where a string is: file tables of kernels have a million entries, and few are ever asked for. */
export interface StringPlace {
  /** Also `''` for a name the entry does not have. */
  readonly section: string;
  readonly offset: number;
}

/** A table of names, each with the number of a directory. Flat: a kernel has half a million entries. */
export class LineEntries {
  readonly #sections: readonly string[];
  readonly #sectionOf: Uint8Array;
  readonly #offsets: Float64Array;
  readonly #directories: Uint32Array;

  constructor(entries: readonly { readonly name: StringPlace; readonly directory: number }[]) {
    this.#sections = [...new Set(entries.map(({ name }) => name.section))];
    this.#sectionOf = Uint8Array.from(entries, ({ name }) => this.#sections.indexOf(name.section));
    this.#offsets = Float64Array.from(entries, ({ name }) => name.offset);
    this.#directories = Uint32Array.from(entries, ({ directory }) => directory);
  }

  get length(): number {
    return this.#offsets.length;
  }

  /** The empty string for entries the table does not have. */
  name(index: number): StringPlace {
    const offset = this.#offsets[index];
    return offset === undefined
      ? NO_STRING
      : { section: this.#sections[this.#sectionOf[index] as number] ?? '', offset };
  }

  directory(index: number): number {
    return this.#directories[index] ?? 0;
  }
}

export interface LineHeader {
  readonly section: Section;
  readonly offset: number;
  readonly endOffset: number;
  readonly version: number;
  readonly addressSize: number;
  readonly is64: boolean;
  readonly minimumInstructionLength: number;
  readonly maximumOperationsPerInstruction: number;
  readonly defaultIsStmt: boolean;
  readonly lineBase: number;
  readonly lineRange: number;
  readonly opcodeBase: number;
  /** Operand counts by opcode, [0] unused. */
  readonly standardOpcodeLengths: Uint8Array;
  /**
   * As numbered by the file: from 0 in version 5, from 1 before; then index 0 is the unit's own directory.
   */
  readonly directories: LineEntries;
  /** As numbered by the file: before version 5 index 0 is empty. */
  readonly files: LineEntries;
  /** Section offset of the first opcode. */
  readonly programOffset: number;
}

const NO_STRING: StringPlace = { section: '', offset: 0 };

/** Throws DwarfError. `addressSize` is the unit's; version 5 has its own. */
export function readLineHeader(section: Section, offset: number, addressSize: number): LineHeader {
  return section.parse(offset, (reader) => parseLineHeader(section, reader, addressSize), 0x1000);
}

function parseLineHeader(section: Section, reader: Reader, unitAddressSize: number): LineHeader {
  const offset = reader.offset;
  const { length, is64 } = reader.initialLength();
  const endOffset = reader.offset + length;
  if (endOffset > section.sizeBytes) throw reader.error('line program reaches past its section');
  const version = reader.u16();
  if (version < 2 || version > 5) throw reader.error(`unsupported line program version: ${version}`);
  let addressSize = unitAddressSize;
  if (version >= 5) {
    addressSize = reader.u8();
    reader.skip(1); // segment_selector_size
  }
  const headerLength = reader.sectionOffset(is64);
  const programOffset = reader.offset + headerLength;
  if (programOffset > endOffset) throw reader.error('line program header longer than its program');
  const minimumInstructionLength = reader.u8();
  const maximumOperationsPerInstruction = version >= 4 ? reader.u8() : 1;
  const defaultIsStmt = reader.u8() !== 0;
  const lineBase = reader.s8();
  const lineRange = reader.u8();
  const opcodeBase = reader.u8();
  const standardOpcodeLengths = Uint8Array.of(0, ...reader.block(Math.max(opcodeBase - 1, 0)));
  const format: UnitFormat = { version, addressSize, is64 };
  const tables = version >= 5 ? readTables5(reader, format) : readTables2(reader);
  return {
    section,
    offset,
    endOffset,
    version,
    addressSize,
    is64,
    minimumInstructionLength,
    maximumOperationsPerInstruction,
    defaultIsStmt,
    lineBase,
    lineRange,
    opcodeBase,
    standardOpcodeLengths,
    ...tables,
    programOffset,
  };
}

type LineFile = ConstructorParameters<typeof LineEntries>[0][number];

interface Tables {
  readonly directories: LineEntries;
  readonly files: LineEntries;
}

/** Versions 2 to 4: strings in place, each list ends with an empty one; directory 0 is implied. */
function readTables2(reader: Reader): Tables {
  const directories: LineFile[] = [{ name: NO_STRING, directory: 0 }];
  for (let name = stringHere(reader); name !== undefined; name = stringHere(reader)) {
    directories.push({ name, directory: 0 });
  }
  const files: LineFile[] = [{ name: NO_STRING, directory: 0 }];
  for (let name = stringHere(reader); name !== undefined; name = stringHere(reader)) {
    const directory = reader.uleb();
    reader.skipLeb(); // time of modification
    reader.skipLeb(); // length
    files.push({ name, directory });
  }
  return { directories: new LineEntries(directories), files: new LineEntries(files) };
}

function stringHere(reader: Reader): StringPlace | undefined {
  const place = { section: reader.sectionName, offset: reader.offset };
  const start = reader.pos;
  reader.skipCstring();
  return reader.pos === start + 1 ? undefined : place;
}

/** Version 5: each table announces the fields of its entries. */
function readTables5(reader: Reader, format: UnitFormat): Tables {
  const directories = new LineEntries(readEntries(reader, format));
  return { directories, files: new LineEntries(readEntries(reader, format)) };
}

function readEntries(reader: Reader, format: UnitFormat): LineFile[] {
  const fieldCount = reader.u8();
  const fields: { type: number; form: number }[] = [];
  for (let index = 0; index < fieldCount; index++) fields.push({ type: reader.uleb(), form: reader.uleb() });
  const count = reader.uleb();
  if (count > 0 && fieldCount === 0) throw reader.error(`${count} line table entries without fields`);
  const entries: LineFile[] = [];
  for (let index = 0; index < count; index++) {
    let name = NO_STRING;
    let directory = 0;
    const start = reader.pos;
    for (const { type, form } of fields) {
      if (type === DW_LNCT.path) name = readString(reader, form, format);
      else if (type === DW_LNCT.directory_index) directory = readIndex(reader, form, format);
      else skipForm(reader, form, format);
    }
    // Entries made of implicit values only would let a small file claim any number of them.
    if (reader.pos === start) throw reader.error('line table entry of no bytes');
    entries.push({ name, directory });
  }
  return entries;
}

function readString(reader: Reader, form: number, format: UnitFormat): StringPlace {
  switch (form) {
    case DW_FORM.line_strp:
      return { section: '.debug_line_str', offset: reader.sectionOffset(format.is64) };
    case DW_FORM.strp:
      return { section: '.debug_str', offset: reader.sectionOffset(format.is64) };
    case DW_FORM.string: {
      const place = { section: reader.sectionName, offset: reader.offset };
      reader.skipCstring();
      return place;
    }
    default:
      skipForm(reader, form, format); // strx forms would need the unit; no compiler emits them here
      return NO_STRING;
  }
}

function readIndex(reader: Reader, form: number, format: UnitFormat): number {
  switch (form) {
    case DW_FORM.data1:
      return reader.u8();
    case DW_FORM.data2:
      return reader.u16();
    case DW_FORM.udata:
      return reader.uleb();
    case DW_FORM.data4:
      return reader.u32();
    default:
      skipForm(reader, form, format);
      throw reader.error(`unsupported form of a directory index: ${formName(form)}`);
  }
}

/**
 * Macros: .debug_macro (DWARF 5 §6.3, and the GNU version 4 of it) and .debug_macinfo (DWARF 4 §6.3). Both
 * record what the preprocessor did in a unit, in order: files entered and left, names defined and undefined.
 * Nothing is kept: each question reads the unit's entries, some ten thousand, again.
 */
import { DW_AT } from './constants.ts';
import { DwarfError, EndOfDataError } from './dwarfError.ts';
import { type UnitFormat, skipForm } from './form.ts';
import type { Reader } from './reader.ts';
import type { Section } from './section.ts';
import { DW_MACINFO, DW_MACRO, macroEntryName } from './sectionConstants.ts';
import type { Unit, UnitFile } from './unit.ts';

export interface MacroDefinition {
  readonly name: string;
  /** `(a, b)`; undefined for a macro that is used without parentheses. */
  readonly parameters: string | undefined;
  readonly body: string;
  /** Line and number of the file it is defined in; neither for those of the compiler and its command line. */
  readonly line: number;
  readonly file: number | undefined;
}

/** A place in a source file, whose numbers are those of the unit's macros (macroLineOffset). */
export interface MacroPlace {
  readonly line: number;
  isFile(file: number): boolean;
}

type MacroEvent =
  | { readonly kind: 'define' | 'undef'; readonly line: number; readonly text: string }
  | { readonly kind: 'startFile'; readonly line: number; readonly file: number }
  | { readonly kind: 'endFile' };

interface OpenFile {
  readonly file: number;
  /** The first time that the place's file is entered: headers are seldom included again for their macros. */
  readonly isPlace: boolean;
}

const MAX_IMPORTS = 32;
const WINDOW_BYTES = 0x4000;
/**
 * Units that import each other can make any number of entries out of few bytes; a kernel's unit has 60 000.
 */
const MAX_ENTRIES = 1 << 19;

export function hasMacros(unit: Unit): boolean {
  const root = unit.rootDie();
  return root.has(DW_AT.macros) || root.has(DW_AT.GNU_macros) || root.has(DW_AT.macro_info);
}

/**
 * What a name means to the preprocessor at a place; without a place, or in a file the unit never enters, at
 * the unit's end. Throws DwarfError.
 */
export function findMacro(unit: Unit, name: string, place?: MacroPlace): MacroDefinition | undefined {
  let found: MacroDefinition | undefined;
  let own: MacroDefinition | undefined; // of the compiler and its command line, which clang lists last
  let isPast = false;
  const open: OpenFile[] = [];
  let isEntered = false;
  for (const event of macroEvents(unit)) {
    const inside: OpenFile | undefined = open.at(-1);
    if (event.kind !== 'endFile' && inside?.isPlace === true && event.line > (place?.line ?? 0))
      isPast = true;
    switch (event.kind) {
      case 'startFile': {
        const isPlace: boolean = !isEntered && place?.isFile(event.file) === true;
        isEntered ||= isPlace;
        open.push({ file: event.file, isPlace });
        break;
      }
      case 'endFile':
        if (open.pop()?.isPlace === true) isPast = true;
        break;
      case 'define':
      case 'undef': {
        const definition = definitionOf(name, event.text, event.line, inside?.file);
        if (definition === undefined) break;
        const meaning = event.kind === 'define' ? definition : undefined;
        if (inside === undefined) own = meaning;
        else if (!isPast) found = meaning;
        if (!isPast && inside !== undefined && event.kind === 'undef') own = undefined;
      }
    }
  }
  return found ?? own;
}

/** `NAME body`, `NAME(a,b) body`, or for undef the name alone. */
function definitionOf(
  name: string,
  text: string,
  line: number,
  file: number | undefined,
): MacroDefinition | undefined {
  if (!text.startsWith(name)) return undefined;
  const next = text[name.length];
  if (next !== undefined && next !== ' ' && next !== '(') return undefined;
  const close = next === '(' ? text.indexOf(')') + 1 : name.length;
  const parameters = next === '(' ? text.slice(name.length, close) : undefined;
  return { name, parameters, body: text.slice(close).trim(), line, file };
}

/** Offset in .debug_line of the table whose files the macros' numbers mean. Throws DwarfError. */
export function macroLineOffset(unit: Unit): number | undefined {
  const offset = macroOffset(unit);
  const section = unit.file.section('.debug_macro');
  if (offset === undefined || section === undefined) return unit.root.lineOffset;
  const { addressSize } = unit.header;
  return (
    section.parse(offset, (reader) => readHeader(reader, addressSize)).lineOffset ?? unit.root.lineOffset
  );
}

function macroOffset(unit: Unit): number | undefined {
  const root = unit.rootDie();
  return root.sectionOffset(DW_AT.macros) ?? root.sectionOffset(DW_AT.GNU_macros);
}

/** Everything the unit's macro information says, in the preprocessor's order. Throws DwarfError. */
function macroEvents(unit: Unit): Iterable<MacroEvent> {
  const offset = macroOffset(unit);
  const oldOffset = unit.rootDie().sectionOffset(DW_AT.macro_info);
  if (offset !== undefined) {
    const section = unit.file.requireSection('.debug_macro');
    const walk = { unit, file: unit.file, section, budget: { entries: MAX_ENTRIES } };
    return readMacroUnit(walk, offset, []);
  }
  if (oldOffset === undefined) return [];
  return readEntries(unit.file.requireSection('.debug_macinfo'), oldOffset, readMacinfoEntry);
}

interface MacroWalk {
  readonly unit: Unit;
  /** The unit's, or its supplementary file. */
  readonly file: UnitFile;
  readonly section: Section;
  /** How many may still be read, those of imported units included. */
  readonly budget: { entries: number };
}

interface MacroHeader {
  readonly format: UnitFormat;
  readonly lineOffset: number | undefined;
  /** Forms of the operands of vendors' opcodes. */
  readonly operands: ReadonlyMap<number, readonly number[]>;
}

/** §6.3.1 */
function readHeader(reader: Reader, addressSize: number): MacroHeader {
  const version = reader.u16();
  if (version !== 4 && version !== 5) throw reader.error(`unsupported macro version: ${version}`);
  const flags = reader.u8();
  const is64 = (flags & 1) !== 0; // offset_size_flag
  const lineOffset = (flags & 2) !== 0 ? reader.sectionOffset(is64) : undefined; // debug_line_offset_flag
  const operands = new Map<number, number[]>();
  if ((flags & 4) !== 0) {
    // opcode_operands_table_flag
    for (let count = reader.u8(); count > 0; count--) {
      const opcode = reader.u8();
      operands.set(opcode, [...reader.block(reader.uleb())]);
    }
  }
  return { format: { version, is64, addressSize }, lineOffset, operands };
}

/** An entry of .debug_macro that is the content of another unit. */
interface Import {
  readonly kind: 'import';
  readonly offset: number;
  readonly isSupplementary: boolean;
}

/** `importers` are the offsets of the units that lead here. */
function* readMacroUnit(
  walk: MacroWalk,
  offset: number,
  importers: readonly number[],
): Generator<MacroEvent> {
  const { unit, section } = walk;
  const { header, end } = section.parse(offset, (reader) => ({
    header: readHeader(reader, unit.header.addressSize),
    end: reader.offset,
  }));
  const entries = readEntries<MacroEvent | Import>(section, end, (reader, opcode) =>
    readEntry(reader, opcode, walk, header),
  );
  for (const entry of entries) {
    if (walk.budget.entries-- <= 0) throw new DwarfError(section.name, offset, 'macros do not end');
    if (entry.kind !== 'import') {
      yield entry;
      continue;
    }
    if (entry.isSupplementary) {
      const file = walk.file.supplement;
      const common = file?.section('.debug_macro');
      if (file !== undefined && common !== undefined)
        yield* readMacroUnit({ ...walk, file, section: common }, entry.offset, []);
      continue;
    }
    // gcc leaves imports of .dwo files unresolved: they would lead back to the first unit.
    const isLoop = entry.offset === offset || importers.includes(entry.offset);
    if (!isLoop && importers.length < MAX_IMPORTS)
      yield* readMacroUnit(walk, entry.offset, [...importers, offset]);
  }
}

/**
 * Entries up to the one of type 0. Where they end is not known beforehand, so the section is read in windows;
 * an entry cut by a window is read again in the next one.
 */
function* readEntries<T>(
  section: Section,
  offset: number,
  read: (reader: Reader, type: number) => T | undefined,
): Generator<T> {
  let windowBytes = WINDOW_BYTES;
  let reader = section.reader(offset, Math.min(windowBytes, section.sizeBytes - offset));
  for (;;) {
    const start = reader.offset;
    let entry: T | undefined;
    try {
      const type = reader.u8();
      if (type === 0) return;
      entry = read(reader, type);
    } catch (error) {
      const rest = section.sizeBytes - start;
      const isCut = error instanceof EndOfDataError && error.section === section.name;
      if (!isCut || reader.base + reader.end === section.sizeBytes) throw error;
      if (start === reader.base) windowBytes *= 8; // one entry larger than the window
      reader = section.reader(start, Math.min(windowBytes, rest));
      continue;
    }
    if (entry !== undefined) yield entry;
  }
}

/**
 * Undefined for entries that say nothing about macros, or whose text is in a supplementary file that was not
 * found.
 */
function readEntry(
  reader: Reader,
  opcode: number,
  { unit, file }: MacroWalk,
  { format, operands }: MacroHeader,
): MacroEvent | Import | undefined {
  const vendor = operands.get(opcode);
  switch (opcode) {
    case DW_MACRO.define:
    case DW_MACRO.undef: {
      const line = reader.uleb();
      return { kind: opcode === DW_MACRO.define ? 'define' : 'undef', line, text: reader.cstring() };
    }
    case DW_MACRO.define_strp:
    case DW_MACRO.undef_strp: {
      const line = reader.uleb();
      const text = file.string('.debug_str', reader.sectionOffset(format.is64));
      return { kind: opcode === DW_MACRO.define_strp ? 'define' : 'undef', line, text };
    }
    case DW_MACRO.define_strx:
    case DW_MACRO.undef_strx: {
      const line = reader.uleb();
      const text = unit.indexedString(reader.uleb());
      return { kind: opcode === DW_MACRO.define_strx ? 'define' : 'undef', line, text };
    }
    case DW_MACRO.start_file: {
      const line = reader.uleb();
      return { kind: 'startFile', line, file: reader.uleb() };
    }
    case DW_MACRO.import:
    case DW_MACRO.import_sup: {
      const isSupplementary = opcode === DW_MACRO.import_sup;
      return { kind: 'import', offset: reader.sectionOffset(format.is64), isSupplementary };
    }
    case DW_MACRO.end_file:
      return { kind: 'endFile' };
    case DW_MACRO.define_sup:
    case DW_MACRO.undef_sup: {
      const line = reader.uleb();
      const offset = reader.sectionOffset(format.is64); // read whether the file is there or not
      const text = file.supplement?.string('.debug_str', offset);
      const kind = opcode === DW_MACRO.define_sup ? 'define' : 'undef';
      return text === undefined ? undefined : { kind, line, text };
    }
    default:
      if (vendor === undefined) throw reader.error(`unsupported macro entry: ${macroEntryName(opcode)}`);
      for (const form of vendor) skipForm(reader, form, format);
      return undefined;
  }
}

/** DWARF 4 §7.22 */
function readMacinfoEntry(reader: Reader, type: number): MacroEvent | undefined {
  switch (type) {
    case DW_MACINFO.define:
    case DW_MACINFO.undef: {
      const line = reader.uleb();
      return { kind: type === DW_MACINFO.define ? 'define' : 'undef', line, text: reader.cstring() };
    }
    case DW_MACINFO.start_file: {
      const line = reader.uleb();
      return { kind: 'startFile', line, file: reader.uleb() };
    }
    case DW_MACINFO.end_file:
      return { kind: 'endFile' };
    case DW_MACINFO.vendor_ext:
      reader.skipLeb();
      reader.skipCstring();
      return undefined;
    default:
      throw reader.error(`unsupported macro entry: DW_MACINFO_<0x${type.toString(16)}>`);
  }
}

/**
 * The indexes of names that a file contains (.debug_names, .gdb_index), as one. Used where they cover every
 * unit.
 */
import { DW_UT } from '../../dwarf/constants.ts';
import { DebugNames } from '../../dwarf/debugNames.ts';
import type { DwarfFile } from '../../dwarf/dwarfFile.ts';
import { GDB_INDEX_SYMBOL_KIND, GdbIndex } from '../../dwarf/gdbIndex.ts';
import { NAME_ENUMERATOR, NAME_FUNCTION, NAME_VARIABLE, nameKind, TYPE_KINDS } from './symbolIndex.ts';

/** An entry, or the unit that contains it. */
export interface NamePlace {
  readonly dieOffset: number | undefined;
  readonly unitOffset: number | undefined;
}

export interface NameTables {
  /** Whether a name they do not have does not exist. Those of compilers leave enumerators out. */
  readonly hasEnumerators: boolean;
  /** Places of one of the kinds (NAME_…) that may have the name. */
  find(name: string, kinds: readonly number[]): Iterable<NamePlace>;
}

/** Undefined when the file has none that can be relied on. */
export function nameTablesOf(file: DwarfFile): NameTables | undefined {
  const units = file.unitHeaders().filter(({ section }) => section.name === '.debug_info');
  // The names of split units are in other files.
  if (units.some(({ unitType }) => unitType === DW_UT.skeleton)) return undefined;
  const needed = units.filter(({ unitType }) => unitType === DW_UT.compile).map(({ offset }) => offset);
  return debugNamesOf(file, needed) ?? gdbIndexOf(file, needed);
}

function debugNamesOf(file: DwarfFile, needed: readonly number[]): NameTables | undefined {
  const section = file.section('.debug_names');
  if (section === undefined) return undefined;
  const indexes = DebugNames.readAll(section, (problem) => file.report(problem));
  if (!covers(new Set(indexes.flatMap((it) => it.unitOffsets)), needed)) return undefined;
  return {
    hasEnumerators: indexes.every(({ augmentation }) => augmentation.startsWith('GDB')),
    *find(name, kinds) {
      for (const index of indexes) {
        for (const entry of index.find(name, (offset) => file.string('.debug_str', offset))) {
          if (groupOf(entry.tag).some((kind) => kinds.includes(kind))) yield entry;
        }
      }
    },
  };
}

function gdbIndexOf(file: DwarfFile, needed: readonly number[]): NameTables | undefined {
  const section = file.littleEndian ? file.section('.gdb_index') : undefined;
  if (section === undefined) return undefined;
  try {
    const index = new GdbIndex(section);
    if (!covers(new Set(index.unitOffsets), needed)) return undefined;
    return {
      hasEnumerators: true,
      *find(name, kinds) {
        for (const { kind, unitOffset } of index.find(name)) {
          if (kindsOf(kind).some((it) => kinds.includes(it))) yield { dieOffset: undefined, unitOffset };
        }
      },
    };
  } catch (error) {
    file.report(error);
    return undefined;
  }
}

function covers(listed: ReadonlySet<number>, needed: readonly number[]): boolean {
  return needed.every((offset) => listed.has(offset));
}

/** gdb only distinguishes types, variables and functions: every type is a DW_TAG_structure_type to it. */
function groupOf(tag: number): readonly number[] {
  const kind = nameKind(tag);
  if (TYPE_KINDS.includes(kind)) return TYPE_KINDS;
  return kind === NAME_VARIABLE ? [NAME_VARIABLE, NAME_ENUMERATOR] : [kind];
}

function kindsOf(symbolKind: number): readonly number[] {
  switch (symbolKind) {
    case GDB_INDEX_SYMBOL_KIND.type:
      return TYPE_KINDS;
    case GDB_INDEX_SYMBOL_KIND.variable:
      return [NAME_VARIABLE, NAME_ENUMERATOR];
    case GDB_INDEX_SYMBOL_KIND.function:
      return [NAME_FUNCTION];
    default:
      return [];
  }
}

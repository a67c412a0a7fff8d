/** What was worked out of units, kept while it fits: line tables and function trees. */
import { DwarfError } from '../dwarf/dwarfError.ts';
import type { DwarfFile } from '../dwarf/dwarfFile.ts';
import type { Unit } from '../dwarf/unit.ts';
import { LruCache } from './lruCache.ts';
import { UnitFunctions } from './unitFunctions.ts';
import { UnitLines } from './unitLines.ts';

const MAX_LINE_TABLES_BYTES = 64 << 20;
const MAX_FUNCTIONS_BYTES = 48 << 20;

export class UnitCache {
  readonly file: DwarfFile;
  private readonly isCode: (address: number) => boolean;
  private readonly lines = new LruCache<Unit, UnitLines | null>(MAX_LINE_TABLES_BYTES);
  private readonly functions = new LruCache<Unit, UnitFunctions>(MAX_FUNCTIONS_BYTES);

  constructor(file: DwarfFile, isCode: (address: number) => boolean) {
    this.file = file;
    this.isCode = isCode;
  }

  /** Undefined when the unit has no line table or one that cannot be read. */
  linesOf(unit: Unit): UnitLines | undefined {
    const known = this.lines.get(unit);
    if (known !== undefined) return known ?? undefined;
    const lines = this.openLines(unit);
    // Decoded rows take about 5 times their program.
    const weight = lines === undefined ? 1 : 5 * (lines.header.endOffset - lines.header.offset);
    this.lines.set(unit, lines ?? null, weight);
    return lines;
  }

  functionsOf(unit: Unit): UnitFunctions {
    let functions = this.functions.get(unit);
    if (functions === undefined) {
      this.noteSplit(unit);
      functions = new UnitFunctions(unit, this.isCode);
      this.functions.set(unit, functions, functions.sizeBytes);
    }
    return functions;
  }

  /** Lines of split units are in the program itself; functions and variables are not, and we do not open the other file yet. */
  private noteSplit(unit: Unit): void {
    const { section, offset } = unit.header;
    try {
      const { dwoName } = unit.root;
      if (dwoName === undefined) return;
      this.file.report(
        new DwarfError(
          section.name,
          offset,
          `split DWARF is not read yet: functions and variables are in ${dwoName}`,
        ),
      );
    } catch (error) {
      this.file.report(error);
    }
  }

  private openLines(unit: Unit): UnitLines | undefined {
    try {
      const { lineOffset } = unit.root;
      return lineOffset === undefined ? undefined : new UnitLines(unit, lineOffset, this.isCode);
    } catch (error) {
      this.file.report(error);
      return undefined;
    }
  }
}

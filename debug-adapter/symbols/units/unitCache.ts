/** What was computed from units, kept while it fits: line tables and function trees. */
import type { DwarfFile } from '../../dwarf/dwarfFile.ts';
import type { Unit } from '../../dwarf/unit.ts';
import { LruCache } from '../base/lruCache.ts';
import type { SplitUnits } from '../files/splitUnits.ts';
import { UnitFunctions } from './unitFunctions.ts';
import { UnitLines } from './unitLines.ts';

const MAX_LINE_TABLES_BYTES = 40 << 20;
const MAX_FUNCTIONS_BYTES = 28 << 20;

export class UnitCache {
  readonly file: DwarfFile;
  readonly #isCode: (address: number) => boolean;
  readonly #split: SplitUnits;
  readonly #lines = new LruCache<Unit, UnitLines | null>(MAX_LINE_TABLES_BYTES);
  readonly #functions = new LruCache<Unit, UnitFunctions>(MAX_FUNCTIONS_BYTES);

  constructor(file: DwarfFile, isCode: (address: number) => boolean, split: SplitUnits) {
    this.file = file;
    this.#isCode = isCode;
    this.#split = split;
  }

  /** The unit whose header is there; undefined when none can be read. */
  unitAt(offset: number): Unit | undefined {
    try {
      return this.file.unitAt(offset);
    } catch (error) {
      this.file.report(error);
      return undefined;
    }
  }

  /** The unit that has the entries: see SplitUnits. */
  fullUnit(unit: Unit): Unit {
    return this.#split.full(unit);
  }

  /** Undefined when the unit has no line table or one that cannot be read. */
  linesOf(anyUnit: Unit): UnitLines | undefined {
    const unit = anyUnit.skeleton?.unit ?? anyUnit; // a split unit's files and lines are its skeleton's
    const known = this.#lines.get(unit);
    if (known !== undefined) return known ?? undefined;
    const lines = this.#openLines(unit);
    // Decoded rows take about 3 times the size of their program.
    const weight = lines === undefined ? 1 : 3 * (lines.header.endOffset - lines.header.offset);
    this.#lines.set(unit, lines ?? null, weight);
    return lines;
  }

  functionsOf(anyUnit: Unit): UnitFunctions {
    const unit = this.fullUnit(anyUnit);
    let functions = this.#functions.get(unit);
    if (functions === undefined) {
      functions = new UnitFunctions(unit, this.#isCode);
      this.#functions.set(unit, functions, functions.sizeBytes);
    }
    return functions;
  }

  #openLines(unit: Unit): UnitLines | undefined {
    try {
      const { lineOffset } = unit.root;
      return lineOffset === undefined ? undefined : new UnitLines(unit, lineOffset, this.#isCode);
    } catch (error) {
      this.file.report(error);
      return undefined;
    }
  }
}

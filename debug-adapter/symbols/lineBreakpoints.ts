/** From a source line to addresses: the files that match, the rows that match, and which of those deserve a breakpoint. */
import { DwarfError } from '../dwarf/dwarfError.ts';
import { type LineRows, ROW_END_SEQUENCE, ROW_IS_STMT } from '../dwarf/line.ts';
import type { Unit } from '../dwarf/unit.ts';
import { LruCache } from './lruCache.ts';
import { baseName, commonTail, normalizePath, pathMatch } from './sourcePath.ts';
import type { UnitCache } from './unitCache.ts';
import type { UnitLines } from './unitLines.ts';

/** One unit's line table and which of its files are meant. */
export interface FileMatch {
  readonly unit: Unit;
  readonly files: ReadonlySet<number>;
}

export interface MatchedRow {
  readonly unit: Unit;
  readonly lines: UnitLines;
  readonly row: number;
}

/** Below this many components in common, two absolute paths that merely end alike are different files. */
const MIN_COMMON_TAIL = 2;

export class SourceFinder {
  private readonly cache: UnitCache;
  private readonly known = new LruCache<string, readonly FileMatch[]>(64);
  /** One unit for each line table: split and partial units share their skeleton's. */
  private tables: readonly Unit[] | undefined;

  constructor(cache: UnitCache) {
    this.cache = cache;
  }

  /** Every source path, sorted. */
  allFiles(): string[] {
    const paths = new Set<string>();
    this.forEachTable((_unit, lines) => {
      const first = lines.header.version >= 5 ? 0 : 1;
      for (let index = first; index < lines.header.files.length; index++) paths.add(lines.path(index));
    });
    return [...paths].sort();
  }

  /** The line tables that know `file`. The best kind of match found decides: the same path, a tail of it, a common tail. */
  find(file: string): readonly FileMatch[] {
    const wanted = normalizePath(file);
    const known = this.known.get(wanted);
    if (known !== undefined) return known;
    const candidates = this.candidates(baseName(wanted));
    const scores = candidates.map(({ path }) => score(path, wanted));
    const best = Math.max(0, ...scores);
    const byUnit = new Map<Unit, Set<number>>();
    candidates.forEach(({ unit, index }, at) => {
      if (best === 0 || scores[at] !== best) return;
      const files = byUnit.get(unit) ?? new Set();
      byUnit.set(unit, files.add(index));
    });
    const matches = [...byUnit].map(([unit, files]) => ({ unit, files }));
    this.known.set(wanted, matches, 1);
    return matches;
  }

  /** Rows that begin a statement on `line`, or on the nearest line after it that has any. */
  statementsAt(file: string, line: number, column?: number): readonly MatchedRow[] {
    let nearest = Infinity;
    let found: MatchedRow[] = [];
    this.forEachStatement(file, (match, rowLine) => {
      if (rowLine < line || rowLine > nearest) return;
      if (rowLine < nearest) found = [];
      nearest = rowLine;
      found.push(match);
    });
    if (column === undefined) return found;
    return atColumn(found, column);
  }

  /** Every statement of a file. */
  forEachStatement(file: string, visit: (match: MatchedRow, line: number, column: number) => void): void {
    for (const { unit, files } of this.find(file)) {
      const lines = this.cache.linesOf(unit);
      if (lines === undefined) continue;
      const { rows } = lines;
      for (const sequence of lines.sequences) {
        for (let row = sequence.first; row < sequence.last; row++) {
          const flags = rows.flags[row] as number;
          if (
            !files.has(rows.file[row] as number) ||
            (flags & ROW_IS_STMT) === 0 ||
            (flags & ROW_END_SEQUENCE) !== 0
          )
            continue;
          const line = rows.line[row] as number;
          if (line !== 0 && !isShadowed(rows, row))
            visit({ unit, lines, row }, line, rows.column[row] as number);
        }
      }
    }
  }

  private candidates(name: string): { unit: Unit; index: number; path: string }[] {
    const found: { unit: Unit; index: number; path: string }[] = [];
    // The linker merges equal strings, so one comparison for each place is enough.
    const matching = new Map<string, Map<number, boolean>>();
    this.forEachTable((unit, lines) => {
      const { files, version } = lines.header;
      for (let index = version < 5 ? 1 : 0; index < files.length; index++) {
        const place = files.name(index);
        const known = matching.get(place.section) ?? new Map<number, boolean>();
        matching.set(place.section, known);
        let matches = known.get(place.offset);
        if (matches === undefined) {
          matches = baseName(lines.text(place)) === name;
          known.set(place.offset, matches);
        }
        if (matches) found.push({ unit, index, path: lines.path(index) });
      }
    });
    return found;
  }

  private forEachTable(visit: (unit: Unit, lines: UnitLines) => void): void {
    for (const unit of (this.tables ??= this.unitsWithTables())) {
      try {
        const lines = this.cache.linesOf(unit);
        if (lines !== undefined) visit(unit, lines);
      } catch (error) {
        this.cache.file.report(error);
      }
    }
  }

  private unitsWithTables(): Unit[] {
    const { file } = this.cache;
    const byOffset = new Map<number, Unit>();
    for (const header of file.unitHeaders()) {
      try {
        const unit = file.unitOf(header);
        const { lineOffset } = unit.root;
        if (lineOffset !== undefined && !byOffset.has(lineOffset)) byOffset.set(lineOffset, unit);
      } catch (error) {
        if (!(error instanceof DwarfError)) throw error;
        file.report(error);
      }
    }
    return [...byOffset.values()];
  }
}

/**
 * Whether a statement covers nothing because a statement of another file begins at the same address: the opening of an inlined
 * function hides the line of its call. Stopping there shows the inlined function, so it is no place for a breakpoint on the call's
 * line (gdb agrees).
 */
function isShadowed(rows: LineRows, row: number): boolean {
  for (let next = row + 1; next < rows.count && rows.address[next] === rows.address[row]; next++) {
    if (rows.file[next] !== rows.file[row] && ((rows.flags[next] as number) & ROW_IS_STMT) !== 0) return true;
  }
  return false;
}

/** Prefers the statement that begins at the column asked for, else the first one after it, else all of the line. */
function atColumn(rows: readonly MatchedRow[], column: number): readonly MatchedRow[] {
  const columnOf = ({ lines, row }: MatchedRow): number => lines.rows.column[row] as number;
  const next = Math.min(...rows.map(columnOf).filter((candidate) => candidate >= column));
  return Number.isFinite(next) ? rows.filter((row) => columnOf(row) === next) : rows;
}

/** 1e6 for the same path, 1e3 for one being the tail of the other, the number of common components otherwise. */
function score(path: string, wanted: string): number {
  const match = pathMatch(path, wanted);
  if (match === 3) return 1e6;
  if (match === 2) return 1e3;
  const common = commonTail(path, wanted);
  return common >= MIN_COMMON_TAIL ? common : 0;
}

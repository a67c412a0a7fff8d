/**
 * From a source line to addresses: the files that match, the rows that match, and which of those deserve a
 * breakpoint.
 */
import { DwarfError } from '../../dwarf/dwarfError.ts';
import { type LineRows, ROW_CONTINUES, ROW_END_SEQUENCE, ROW_IS_STMT } from '../../dwarf/line.ts';
import type { Unit } from '../../dwarf/unit.ts';
import { isTypeUnit } from '../../dwarf/unitHeader.ts';
import { LruCache } from '../base/lruCache.ts';
import { baseName, commonTail, normalizePath, pathMatch } from '../base/sourcePath.ts';
import type { Steps } from '../base/steps.ts';
import type { SymbolIndex } from '../index/symbolIndex.ts';
import type { UnitCache } from '../units/unitCache.ts';
import type { UnitLines } from '../units/unitLines.ts';

/** One unit's line table, which of its files are meant, and which lines their statements span, if known. */
export interface FileMatch {
  readonly unit: Unit;
  readonly files: ReadonlySet<number>;
  readonly firstLine: number;
  readonly lastLine: number;
}

export interface MatchedRow {
  readonly unit: Unit;
  readonly lines: UnitLines;
  readonly row: number;
}

/** A path with the base name asked for, and the line tables that have it. */
interface Candidate {
  readonly path: string;
  readonly matches: readonly FileMatch[];
}

/**
 * With fewer components in common than this, two absolute paths that merely end alike are different files.
 */
const MIN_COMMON_TAIL = 2;

export class SourceFinder {
  readonly #cache: UnitCache;
  readonly #index: () => SymbolIndex | undefined;
  readonly #known = new LruCache<string, readonly FileMatch[]>(64);
  /** One unit for each line table: split and partial units share their skeleton's. */
  #tables: readonly Unit[] | undefined;

  /** Without an index the head of every line table is read. */
  constructor(cache: UnitCache, index: () => SymbolIndex | undefined) {
    this.#cache = cache;
    this.#index = index;
  }

  /** Every source path, sorted. */
  *allFiles(): Steps<readonly string[]> {
    const index = this.#index();
    if (index !== undefined) return index.paths;
    const paths = new Set<string>();
    yield* this.#eachTable((_unit, lines) => {
      const first = lines.header.version >= 5 ? 0 : 1;
      for (let file = first; file < lines.header.files.length; file++) paths.add(lines.path(file));
    });
    return [...paths].sort();
  }

  /** The source paths that end in that name. */
  *filesNamed(name: string): Steps<readonly string[]> {
    const candidates = yield* this.#candidates(name);
    return [...new Set(candidates.map(({ path }) => path))].sort();
  }

  /** Rows that begin a statement on `line`, or on the nearest line after it that has any. */
  *statementsAt(file: string, line: number, column?: number): Steps<readonly MatchedRow[]> {
    let nearest = Infinity;
    let found: MatchedRow[] = [];
    const mayHave = ({ firstLine, lastLine }: FileMatch): boolean => lastLine >= line && firstLine <= nearest;
    yield* this.#eachStatement(file, mayHave, (match, rowLine) => {
      if (rowLine < line || rowLine > nearest) return;
      // Further blocks of a statement are not places to stop at it again; its columns are places of their
      // own.
      const isFurtherBlock = ((match.lines.rows.flags[match.row] as number) & ROW_CONTINUES) !== 0;
      if (isFurtherBlock && column === undefined) return;
      if (rowLine < nearest) found = [];
      nearest = rowLine;
      found.push(match);
    });
    return column === undefined ? found : atColumn(found, column);
  }

  /** The lines from `fromLine` to `toLine` that have statements, each with their columns. */
  *columnsByLine(file: string, fromLine: number, toLine: number): Steps<Map<number, Set<number>>> {
    const found = new Map<number, Set<number>>();
    const mayHave = (it: FileMatch): boolean => it.lastLine >= fromLine && it.firstLine <= toLine;
    yield* this.#eachStatement(file, mayHave, (_match, line, column) => {
      if (line < fromLine || line > toLine) return;
      found.set(line, (found.get(line) ?? new Set()).add(column));
    });
    return found;
  }

  /**
   * The line tables that know `file`. The best kind of match found decides: the same path, a tail of it, a
   * common tail.
   */
  *#find(file: string): Steps<readonly FileMatch[]> {
    const wanted = normalizePath(file);
    const known = this.#known.get(wanted);
    if (known !== undefined) return known;
    const candidates = yield* this.#candidates(baseName(wanted));
    const scores = candidates.map(({ path }) => score(path, wanted));
    const best = scores.reduce((a, b) => Math.max(a, b), 0);
    const winners = candidates.filter((_, at) => best > 0 && scores[at] === best);
    const matches = mergeByUnit(winners.flatMap((it) => it.matches));
    this.#known.set(wanted, matches, 1);
    return matches;
  }

  *#eachStatement(
    file: string,
    mayHave: (match: FileMatch) => boolean,
    visit: (match: MatchedRow, line: number, column: number) => void,
  ): Steps<void> {
    for (const match of yield* this.#find(file)) {
      if (!mayHave(match)) continue;
      const { unit, files } = match;
      const lines = this.#cache.linesOf(unit);
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
      yield;
    }
  }

  *#candidates(name: string): Steps<readonly Candidate[]> {
    const index = this.#index();
    return index === undefined ? yield* this.#listed(name) : this.#indexed(index, name);
  }

  #indexed(index: SymbolIndex, name: string): Candidate[] {
    return index.paths.flatMap((path, number) => {
      if (!path.endsWith(name) || baseName(path) !== name) return [];
      const matches = index.usesOf(number).flatMap(({ unitOffset, file, firstLine, lastLine }) => {
        const unit = this.#cache.unitAt(unitOffset);
        return unit === undefined ? [] : [{ unit, files: new Set([file]), firstLine, lastLine }];
      });
      return [{ path, matches }];
    });
  }

  *#listed(name: string): Steps<Candidate[]> {
    const found: Candidate[] = [];
    // The linker merges equal strings, so one comparison for each place is enough.
    const matching = new Map<string, Map<number, boolean>>();
    yield* this.#eachTable((unit, lines) => {
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
        if (!matches) continue;
        const match = { unit, files: new Set([index]), firstLine: 0, lastLine: Infinity };
        found.push({ path: lines.path(index), matches: [match] });
      }
    });
    return found;
  }

  *#eachTable(visit: (unit: Unit, lines: UnitLines) => void): Steps<void> {
    for (const unit of (this.#tables ??= yield* this.#unitsWithTables())) {
      try {
        const lines = this.#cache.linesOf(unit);
        if (lines !== undefined) visit(unit, lines);
      } catch (error) {
        this.#cache.file.report(error);
      }
      yield;
    }
  }

  *#unitsWithTables(): Steps<Unit[]> {
    const { file } = this.#cache;
    const byOffset = new Map<number, Unit>();
    for (const header of file.unitHeaders()) {
      if (isTypeUnit(header)) continue;
      try {
        const unit = file.unitOf(header);
        const { lineOffset } = unit.root;
        if (lineOffset !== undefined && !byOffset.has(lineOffset)) byOffset.set(lineOffset, unit);
      } catch (error) {
        if (!(error instanceof DwarfError)) throw error;
        file.report(error);
      }
      yield;
    }
    return [...byOffset.values()];
  }
}

function mergeByUnit(matches: readonly FileMatch[]): FileMatch[] {
  const byUnit = new Map<Unit, FileMatch>();
  for (const match of matches) {
    const known = byUnit.get(match.unit);
    byUnit.set(
      match.unit,
      known === undefined
        ? match
        : {
            unit: match.unit,
            files: new Set([...known.files, ...match.files]),
            firstLine: Math.min(known.firstLine, match.firstLine),
            lastLine: Math.max(known.lastLine, match.lastLine),
          },
    );
  }
  return [...byUnit.values()];
}

/**
 * Whether a statement covers nothing because a statement of another file begins at the same address: the
 * opening of an inlined function hides the line of its call. Stopping there shows the inlined function, so it
 * is not a place for a breakpoint on the call's line (gdb agrees).
 */
function isShadowed(rows: LineRows, row: number): boolean {
  for (let next = row + 1; next < rows.count && rows.address.at(next) === rows.address.at(row); next++) {
    if (rows.file[next] !== rows.file[row] && ((rows.flags[next] as number) & ROW_IS_STMT) !== 0) return true;
  }
  return false;
}

/**
 * Prefers the statement that begins at the column asked for, then the first one after it, then the whole
 * line.
 */
function atColumn(rows: readonly MatchedRow[], column: number): readonly MatchedRow[] {
  const columnOf = ({ lines, row }: MatchedRow): number => lines.rows.column[row] as number;
  const next = Math.min(...rows.map(columnOf).filter((candidate) => candidate >= column));
  return Number.isFinite(next) ? rows.filter((row) => columnOf(row) === next) : rows;
}

/**
 * 1e6 for the same path, 1e3 for one being the tail of the other, the number of common components otherwise.
 */
function score(path: string, wanted: string): number {
  const match = pathMatch(path, wanted);
  if (match === 3) return 1e6;
  if (match === 2) return 1e3;
  const common = commonTail(path, wanted);
  return common >= MIN_COMMON_TAIL ? common : 0;
}

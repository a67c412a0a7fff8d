/**
 * Where breakpoints go: from source lines and function names to addresses. Done in steps, because a line of a
 * header or an inlined function may be in a thousand units.
 */
import { DW_AT, DW_TAG } from '../../dwarf/constants.ts';
import { rangesOf } from '../../dwarf/ranges.ts';
import type { Die, Unit } from '../../dwarf/unit.ts';
import type { Steps } from '../base/steps.ts';
import type { ElfSymbolIndex } from '../names/elfSymbolIndex.ts';
import type { FoundFunction, FunctionFinder } from '../names/functionFinder.ts';
import {
  haveSameParameters,
  isFunctionNamed,
  mangledFragment,
  parseFunctionName,
  type WantedFunction,
} from '../names/functionNames.ts';
import type { ImageNames } from '../names/imageNames.ts';
import { typeName } from '../types/type.ts';
import { childrenOf, variablesOf } from '../units/dieTree.ts';
import type { UnitCache } from '../units/unitCache.ts';
import { originChain } from '../units/unitFunctions.ts';
import type { MatchedRow, SourceFinder } from './lineBreakpoints.ts';

export interface CodeLocation {
  readonly address: bigint;
  readonly file: string;
  /** The line actually found: the one asked for, or the next one that has code. */
  readonly line: number;
  readonly column: number;
  /** The function (or the inlined copy) the address is in. */
  readonly function?: string;
}

export interface FunctionLocation {
  readonly name: string;
  /** Where a breakpoint goes: after the prologue, when the line table shows where that is. */
  readonly address: bigint;
  /** The function's first instruction. */
  readonly start: bigint;
  readonly file?: string;
  readonly line?: number;
}

export interface PlacesOptions {
  readonly cache: UnitCache;
  readonly sources: SourceFinder;
  readonly finder: FunctionFinder;
  readonly names: ImageNames;
  readonly symbols: () => ElfSymbolIndex | undefined;
  readonly isCode: (address: number) => boolean;
  /** Added to give the address the image's users see. */
  readonly biased: (address: number) => bigint;
}

/** Up to this much debug information, every unit is searched. */
const SMALL_BYTES = 2 << 20;

export class BreakpointPlaces {
  readonly #options: PlacesOptions;

  constructor(options: PlacesOptions) {
    this.#options = options;
  }

  *addressesOf(file: string, line: number, column?: number): Steps<readonly CodeLocation[]> {
    const rows = yield* this.#options.sources.statementsAt(file, line, column);
    const byAddress = [...rows].sort((a, b) => addressOf(a) - addressOf(b));
    // After a function that does not return, the line table still claims the bytes up to the next; and there
    // is code that the linker left behind without a name. Both count only where there is nothing else.
    const named = byAddress.filter((match) => this.#isNamed(match));
    const taken = new Set<string>();
    const locations = new Map<bigint, CodeLocation>();
    for (const match of named.length > 0 ? named : byAddress.slice(0, 1)) {
      const location = this.#locationOf(match, taken);
      if (location !== undefined && !locations.has(location.address))
        locations.set(location.address, location);
      yield;
    }
    return [...locations.values()];
  }

  *breakpointLines(
    file: string,
    fromLine: number,
    toLine: number,
  ): Steps<readonly { line: number; columns: readonly number[] }[]> {
    const columnsByLine = yield* this.#options.sources.columnsByLine(file, fromLine, toLine);
    return [...columnsByLine]
      .map(([line, columns]) => ({ line, columns: [...columns].sort((a, b) => a - b) }))
      .sort((a, b) => a.line - b.line);
  }

  /** As far as the symbol table and the index of names (if it is there) know the name. */
  *functionsNamed(name: string): Steps<readonly FunctionLocation[]> {
    const exact = yield* this.#functionsCalled(name);
    const wanted = parseFunctionName(name);
    const found = new Map(exact.map((it) => [it.start, it]));
    yield* this.#functionsAnywhere(wanted, found);
    if (exact.length > 0 && this.#symbolStarts(name).size > 0) return [...found.values()];
    const starts = new Set<number>();
    yield* this.#mangledStarts(wanted, starts);
    for (const start of starts) {
      const location = this.#functionLocation(name, start);
      found.set(location.start, location);
    }
    // What is inlined has no symbol.
    for (const qualified of this.#options.names.functionScopes(wanted.parts.at(-1) ?? name)) {
      if (!isFunctionNamed(wanted, qualified)) continue;
      const locations = wanted.parameters === undefined ? yield* this.#functionsCalled(qualified) : [];
      locations.push(...(yield* this.#inlinedCopies(qualified, wanted)));
      for (const location of locations) found.set(location.start, location);
    }
    return [...found.values()];
  }

  /**
   * In small files: the index does not know what is in .dwo files, nor which functions of type units were
   * inlined.
   */
  *#functionsAnywhere(wanted: WantedFunction, found: Map<bigint, FunctionLocation>): Steps<void> {
    const { cache } = this.#options;
    const { file } = cache;
    if ((file.section('.debug_info')?.sizeBytes ?? 0) > SMALL_BYTES) return;
    for (const header of file.unitHeaders()) {
      const functions = cache.functionsOf(file.unitOf(header));
      for (const node of functions.inlinedCopies()) {
        const [range] = node.ranges;
        const name = functions.nameOf(node);
        if (range === undefined || name === undefined || !isFunctionNamed(wanted, name)) continue;
        const copy = { ...range, name, node, functions };
        const start = this.#options.biased(range.start);
        if (!found.has(start) && this.#hasParameters(wanted, copy))
          found.set(start, this.#copyLocation(copy));
      }
      yield;
    }
  }

  /** Where a function that is inlined begins; after the prologue of the one around it. */
  #copyLocation(copy: FoundFunction): FunctionLocation {
    const { biased, finder } = this.#options;
    const around = finder.around(copy.start);
    const address = around === undefined ? copy.start : Math.max(copy.start, finder.afterPrologue(around));
    return {
      name: copy.name,
      start: biased(copy.start),
      address: biased(address),
      ...finder.declaration(copy),
    };
  }

  /** By exactly the name that symbols or entries have. */
  *#functionsCalled(name: string): Steps<FunctionLocation[]> {
    const starts = this.#symbolStarts(name);
    if (starts.size === 0) yield* this.#entryStarts(name, starts);
    const proper: FunctionLocation[] = [];
    for (const start of starts) {
      proper.push(this.#functionLocation(name, start));
      yield;
    }
    return [...proper, ...(yield* this.#inlinedCopies(name))];
  }

  #symbolStarts(name: string): Set<number> {
    const symbols = this.#options.symbols()?.named(name) ?? [];
    return new Set(symbols.filter((it) => it.isFunction).map((it) => it.address));
  }

  /** For files without .symtab, and names with namespaces. */
  *#entryStarts(name: string, starts: Set<number>): Steps<void> {
    for (const die of this.#options.names.functions(name)) {
      const start = rangesOf(die)[0]?.start;
      if (start !== undefined && this.#options.isCode(start)) starts.add(start);
      yield;
    }
  }

  /**
   * Names written otherwise than entries have them: without namespaces or template arguments, with
   * parameters.
   */
  *#mangledStarts(wanted: WantedFunction, starts: Set<number>): Steps<void> {
    const { finder, symbols } = this.#options;
    for (const { address } of symbols()?.mangledFunctions(mangledFragment(wanted) ?? '') ?? []) {
      const found = finder.around(address);
      const isMeant = found !== undefined && found.start === address && isFunctionNamed(wanted, found.name);
      if (isMeant && this.#hasParameters(wanted, found)) starts.add(address);
      yield;
    }
  }

  #hasParameters(wanted: WantedFunction, { node, functions }: FoundFunction): boolean {
    if (wanted.parameters === undefined || node === undefined || functions === undefined) return true;
    // The declaration has all of them, unless it is a stub for one in a type unit; copies may lack some.
    const entries = originChain(node.unit.die(node.dieOffset)).map((die) => [...childrenOf(die)]);
    const entry = entries.findLast((it) => it.some(isParameter)) ?? [];
    const types = entry
      .filter((it) => isParameter(it) && !it.flag(DW_AT.artificial))
      .map((it) =>
        typeName(
          this.#options.names.types.typeOf(it.has(DW_AT.type) ? it : (it.ref(DW_AT.abstract_origin) ?? it)),
        ),
      );
    return haveSameParameters(wanted, types);
  }

  /** Whether a row is in a function or at least in a symbol, if there are symbols. */
  #isNamed(match: MatchedRow): boolean {
    const symbols = this.#options.symbols();
    const address = addressOf(match);
    if (symbols === undefined || symbols.at(address) !== undefined) return true;
    return this.#options.cache.functionsOf(match.unit).at(address) !== undefined;
  }

  /**
   * One location for each block of each function or inlined copy, as in gdb: a loop the compiler split has
   * one in each part. A block counts when it has variables. `taken` holds those that have their location.
   */
  #locationOf({ unit, lines, row }: MatchedRow, taken: Set<string>): CodeLocation | undefined {
    const { cache, finder, biased } = this.#options;
    const { rows } = lines;
    let address = rows.address.at(row);
    const functions = cache.functionsOf(unit);
    const nodes = functions.nodesAt(address);
    const block = nodes.findLast(
      ({ kind, unit: full, dieOffset }) => kind !== 'block' || hasVariables(full.die(dieOffset)),
    );
    if (block !== undefined) {
      const key = `${unit.header.offset}/${block.index}`;
      if (taken.has(key)) return undefined;
      taken.add(key);
    }
    const innermost = nodes.findLast(({ kind }) => kind !== 'block');
    const found = finder.around(address);
    if (found !== undefined) address = Math.max(address, finder.afterPrologue(found));
    const name = innermost === undefined ? found?.name : functions.nameOf(innermost);
    return {
      address: biased(address),
      file: lines.path(rows.file[row] as number),
      line: rows.line[row] as number,
      column: rows.column[row] as number,
      ...(name !== undefined && { function: name }),
    };
  }

  #functionLocation(name: string, start: number): FunctionLocation {
    const { finder, biased } = this.#options;
    const found = finder.around(start);
    if (found === undefined) return { name, start: biased(start), address: biased(start) };
    return {
      name: found.name,
      start: biased(start),
      address: biased(finder.afterPrologue({ ...found, start })),
      ...finder.declaration(found),
    };
  }

  /** Where a function was inlined, in the units that know it. */
  *#inlinedCopies(name: string, wanted?: WantedFunction): Steps<FunctionLocation[]> {
    const { cache } = this.#options;
    const copies: FunctionLocation[] = [];
    const units = new Set<Unit>();
    for (const { unit } of this.#options.names.functions(name)) {
      // Copies of what partial units define (dwz) are in the units that import them.
      const { imports } = cache.file;
      for (const it of unit.root.tag === DW_TAG.partial_unit ? imports.importersOf(unit) : [unit])
        units.add(it);
      yield;
    }
    for (const unit of units) {
      const functions = cache.functionsOf(unit);
      for (const node of functions.inlinedNamed(name)) {
        const range = node.ranges[0];
        if (range === undefined) continue;
        if (wanted !== undefined && !this.#hasParameters(wanted, { ...range, name, node, functions }))
          continue;
        copies.push(this.#copyLocation({ ...range, name, node, functions }));
      }
      yield;
    }
    return copies;
  }
}

function isParameter({ tag }: Die): boolean {
  return tag === DW_TAG.formal_parameter;
}

function hasVariables(block: Die): boolean {
  return variablesOf(block).next().done === false;
}

function addressOf({ lines, row }: MatchedRow): number {
  return lines.rows.address.at(row);
}

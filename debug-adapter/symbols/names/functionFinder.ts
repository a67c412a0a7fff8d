/**
 * The function proper around an address, from the unit's entries or else the symbol table. Link-time
 * addresses.
 */
import { DW_AT } from '../../dwarf/constants.ts';
import { findPrologueEnd } from '../units/prologue.ts';
import type { UnitCache } from '../units/unitCache.ts';
import type { FunctionNode, UnitFunctions } from '../units/unitFunctions.ts';
import type { UnitRanges } from '../units/unitRanges.ts';
import type { ElfSymbolIndex } from './elfSymbolIndex.ts';

export interface FoundFunction {
  readonly start: number;
  readonly end: number;
  readonly name: string;
  /** Of those that entries describe. */
  readonly node?: FunctionNode;
  readonly functions?: UnitFunctions;
}

export class FunctionFinder {
  readonly #cache: UnitCache;
  readonly #units: UnitRanges;
  readonly #symbols: () => ElfSymbolIndex | undefined;

  constructor(cache: UnitCache, units: UnitRanges, symbols: () => ElfSymbolIndex | undefined) {
    this.#cache = cache;
    this.#units = units;
    this.#symbols = symbols;
  }

  around(address: number): FoundFunction | undefined {
    const unit = this.#units.unitAt(address);
    if (unit !== undefined) {
      const functions = this.#cache.functionsOf(unit);
      const range = functions.at(address);
      const name = range && (functions.nameOf(range.node) ?? this.#symbols()?.at(range.start)?.name);
      if (range !== undefined && name !== undefined) {
        return { start: range.start, end: range.end, name, node: range.node, functions };
      }
    }
    return this.#symbolAround(address);
  }

  /** Where it is declared, if entries say so. */
  declaration({ node, functions }: FoundFunction): { file?: string; line?: number } {
    if (node === undefined || functions === undefined) return {};
    const die = functions.originWith(node, DW_AT.decl_line);
    const line = die?.number(DW_AT.decl_line);
    const file =
      die?.number(DW_AT.decl_file) ?? functions.originWith(node, DW_AT.decl_file)?.number(DW_AT.decl_file);
    const path =
      die === undefined || file === undefined ? undefined : this.#cache.linesOf(die.unit)?.path(file);
    return { ...(path !== undefined && { file: path }), ...(line !== undefined && { line }) };
  }

  /** The first address after the prologue; the start when the line table does not say. */
  afterPrologue({ start, end, node }: FoundFunction): number {
    const unit = node?.unit ?? this.#units.unitAt(start);
    const lines = unit && this.#cache.linesOf(unit);
    return unit === undefined || lines === undefined ? start : findPrologueEnd(lines, unit.root, start, end);
  }

  /** Code without DWARF (assembler, stripped objects): from the symbol to its end, or to the next symbol. */
  #symbolAround(address: number): FoundFunction | undefined {
    const symbol = this.#symbols()?.at(address);
    if (symbol === undefined || !symbol.isFunction) return undefined;
    const end =
      symbol.sizeBytes > 0
        ? symbol.address + symbol.sizeBytes
        : (this.#symbols()?.nextAfter(address) ?? address + 1);
    return { start: symbol.address, end, name: symbol.name };
  }
}

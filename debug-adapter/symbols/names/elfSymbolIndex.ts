/**
 * .symtab by address and by name: all there is for code without DWARF, and the fastest way from a function's
 * name to its address.
 */
import {
  ET_REL,
  SHF_EXECINSTR,
  SHN_ABS,
  SHN_UNDEF,
  STB_GLOBAL,
  STB_WEAK,
  STT_FUNC,
  STT_GNU_IFUNC,
  STT_NOTYPE,
  STT_OBJECT,
} from '../../../vmm-core/elf/elfConstants.ts';
import type { ElfFile } from '../../../vmm-core/elf/elfFile.ts';
import type { SymbolTable } from '../../../vmm-core/elf/elfSymbols.ts';

export interface ElfSymbol {
  readonly name: string;
  readonly address: number;
  readonly sizeBytes: number;
  readonly isFunction: boolean;
}

/**
 * How far before an address a sized symbol that contains it may be, in symbols: labels inside functions come
 * in between.
 */
const MAX_BACK = 64;

export class ElfSymbolIndex {
  readonly #table: SymbolTable;
  readonly #elf: ElfFile;
  #sorted: { order: Uint32Array; address: Float64Array } | undefined;

  constructor(table: SymbolTable, elf: ElfFile) {
    this.#table = table;
    this.#elf = elf;
  }

  /**
   * The symbol that covers `address`: one whose size says so, otherwise the nearest one before it in the same
   * section.
   */
  at(address: number): ElfSymbol | undefined {
    const { order, address: addresses } = this.#byAddress();
    const behind = firstAbove(addresses, address);
    let unsized: number | undefined;
    for (let at = behind - 1; at >= 0 && at >= behind - MAX_BACK; at--) {
      const index = order[at] as number;
      const sizeBytes = this.#table.sizeBytes(index);
      if (sizeBytes > 0 && address < (addresses[at] as number) + sizeBytes) return this.#symbol(index);
      if (sizeBytes === 0) unsized ??= index;
      // past a symbol that ends before the address: padding between functions
      else if (unsized === undefined) break;
    }
    return unsized !== undefined && this.#inSectionOf(unsized, address) ? this.#symbol(unsized) : undefined;
  }

  /** The first address after `address` that has a symbol of its own. */
  nextAfter(address: number): number | undefined {
    const { address: addresses } = this.#byAddress();
    return addresses[firstAbove(addresses, address)];
  }

  /**
   * Every symbol with that name, functions' clones (`name.isra.0`) last; `.cold` parts are not functions of
   * their own.
   */
  named(name: string): ElfSymbol[] {
    const bytes = new TextEncoder().encode(name);
    const exact: ElfSymbol[] = [];
    const clones: ElfSymbol[] = [];
    for (let index = 0; index < this.#table.count; index++) {
      const match = this.#table.nameMatches(index, bytes);
      if (match === undefined || !this.#isUsable(index)) continue;
      const symbol = this.#symbol(index);
      if (match === 'exact') exact.push(symbol);
      else if (symbol.isFunction && !/\.cold(?:\.|$)/.test(symbol.name)) clones.push(symbol);
    }
    return [...exact, ...clones];
  }

  /** Names of functions, each once. */
  *functionNames(): Generator<string> {
    const seen = new Set<string>();
    for (let index = 0; index < this.#table.count; index++) {
      if (!this.#isUsable(index) || !this.#isFunction(index)) continue;
      const name = this.#table.name(index);
      if (seen.has(name)) continue;
      seen.add(name);
      yield name;
    }
  }

  /** Functions whose names are mangled (C++, Rust) and contain `fragment`. */
  *mangledFunctions(fragment: string): Generator<ElfSymbol> {
    const seen = new Set<number>();
    for (let index = 0; index < this.#table.count; index++) {
      if (!this.#isUsable(index) || !this.#isFunction(index)) continue;
      const name = this.#table.name(index);
      if (!/^_[ZR]/.test(name) || !name.includes(fragment) || /\.cold(?:\.|$)/.test(name)) continue;
      const symbol = this.#symbol(index);
      if (seen.has(symbol.address)) continue; // complete and base object constructors share their code
      seen.add(symbol.address);
      yield symbol;
    }
  }

  #symbol(index: number): ElfSymbol {
    return {
      name: this.#table.name(index),
      address: this.#addressOf(index),
      sizeBytes: this.#table.sizeBytes(index),
      isFunction: this.#isFunction(index),
    };
  }

  #byAddress(): { order: Uint32Array; address: Float64Array } {
    if (this.#sorted !== undefined) return this.#sorted;
    const table = this.#table;
    const values = new Float64Array(table.count);
    const indexes: number[] = [];
    for (let index = 0; index < table.count; index++) {
      if (!this.#isUsable(index)) continue;
      values[index] = this.#addressOf(index);
      indexes.push(index);
    }
    // Among symbols at one address the last wins: it is looked at first.
    const rank = new Uint8Array(table.count);
    for (const index of indexes) rank[index] = this.#rank(index);
    const order = Uint32Array.from(indexes).sort(
      (a, b) =>
        (values[a] as number) - (values[b] as number) || (rank[a] as number) - (rank[b] as number) || b - a,
    );
    return (this.#sorted = { order, address: Float64Array.from(order, (index) => values[index] as number) });
  }

  /** In relocatable objects values count from their section (gABI chapter 4, st_value). */
  #addressOf(index: number): number {
    const value = this.#table.signedValue(index);
    if (this.#elf.type !== ET_REL) return value;
    const section = this.#elf.sections[this.#table.sectionIndex(index)];
    return value + Number(BigInt.asIntN(64, section?.address ?? 0n));
  }

  /** Which of several names for one address is meant: functions before labels, global before local. */
  #rank(index: number): number {
    const binding = this.#table.binding(index);
    const type = this.#table.type(index);
    const byBinding = binding === STB_GLOBAL ? 2 : binding === STB_WEAK ? 1 : 0;
    const byType = type === STT_FUNC || type === STT_GNU_IFUNC ? 2 : type === STT_OBJECT ? 1 : 0;
    return (this.#table.sizeBytes(index) > 0 ? 16 : 0) + byType * 4 + byBinding;
  }

  /** Names for places in memory: no sections, files, thread-local offsets, undefined or absolute values. */
  #isUsable(index: number): boolean {
    const type = this.#table.type(index);
    if (type !== STT_FUNC && type !== STT_OBJECT && type !== STT_NOTYPE && type !== STT_GNU_IFUNC)
      return false;
    const section = this.#table.sectionIndex(index);
    return section !== SHN_UNDEF && section !== SHN_ABS;
  }

  /** Assembler code often has no types: a label in executable bytes counts as a function. */
  #isFunction(index: number): boolean {
    const type = this.#table.type(index);
    if (type === STT_FUNC || type === STT_GNU_IFUNC) return true;
    const section = this.#elf.sections[this.#table.sectionIndex(index)];
    return type === STT_NOTYPE && section !== undefined && (section.flags & SHF_EXECINSTR) !== 0;
  }

  #inSectionOf(index: number, address: number): boolean {
    const section = this.#elf.sections[this.#table.sectionIndex(index)];
    if (section === undefined) return false;
    const start = this.#elf.is64 ? Number(BigInt.asIntN(64, section.address)) : Number(section.address);
    return address >= start && address < start + section.sizeBytes;
  }
}

/** The index of the first of the sorted addresses that is above `address`; their number when none is. */
function firstAbove(addresses: ArrayLike<number>, address: number): number {
  let low = 0;
  let high = addresses.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((addresses[middle] as number) <= address) low = middle + 1;
    else high = middle;
  }
  return low;
}

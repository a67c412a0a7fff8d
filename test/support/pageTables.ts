/**
 * Writes page tables into guest RAM, for tests: `new PageTables(memory, 0x1000, 4).map(0x40_0000n, 0x5000n,
 * flags)`.
 */
import { gpa, type GuestMemory } from '../../vmm-core/memory/guestMemory.ts';

export const PTE_P = 1n << 0n;
export const PTE_RW = 1n << 1n;
export const PTE_US = 1n << 2n;
export const PTE_PS = 1n << 7n;
export const PTE_NX = 1n << 63n;

const PAGE_BYTES = 0x1000;
const USUAL = PTE_P | PTE_RW | PTE_US;

/**
 * Tables of 512 entries of 8 bytes: 3 (PAE), 4 or 5 levels. The top table is at `base`, others follow as they
 * are needed.
 */
export class PageTables {
  readonly cr3: bigint;
  readonly #memory: GuestMemory;
  readonly #levels: 3 | 4 | 5;
  #next: number;

  constructor(memory: GuestMemory, base: number, levels: 3 | 4 | 5) {
    this.#memory = memory;
    this.#levels = levels;
    this.cr3 = BigInt(base);
    this.#next = base + PAGE_BYTES;
  }

  /** Maps the page of `linear` to `physical` by an entry of `level` (1: 4 KiB, 2: 2 MiB, 3: 1 GiB). */
  map(linear: bigint, physical: bigint, flags = USUAL, level: 1 | 2 | 3 = 1, tableFlags = USUAL): this {
    let table = Number(this.cr3);
    for (let at = this.#levels; at > level; at--)
      table = this.#descend(table, this.#index(linear, at), tableFlags, at);
    const large = level === 1 ? 0n : PTE_PS;
    this.#memory.writeU64(gpa(table + 8 * this.#index(linear, level)), physical | flags | large);
    return this;
  }

  #descend(table: number, index: number, flags: bigint, level: number): number {
    const at = gpa(table + 8 * index);
    const present = this.#memory.readU64(at);
    if ((present & PTE_P) !== 0n) return Number(present & 0x000f_ffff_ffff_f000n);
    const fresh = this.#next;
    this.#next += PAGE_BYTES;
    // A page directory pointer of PAE has no rights.
    const rights = this.#levels === 3 && level === 3 ? PTE_P : flags;
    this.#memory.writeU64(at, BigInt(fresh) | rights);
    return fresh;
  }

  #index(linear: bigint, level: number): number {
    const bits = this.#levels === 3 && level === 3 ? 0x3n : 0x1ffn;
    return Number((linear >> BigInt(12 + 9 * (level - 1))) & bits);
  }
}

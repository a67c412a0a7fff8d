/**
 * Linear to guest-physical, by walking the guest's own page tables in RAM: KVM_TRANSLATE walks only the
 * current CR3 and makes up its flags. Intel SDM 3A §4.3 (32-bit), §4.4 (PAE), §4.5 (4- and 5-level). Never
 * throws: tables that point outside RAM are "not mapped".
 */
import { CR0_PG, CR4_LA57, CR4_PAE, CR4_PSE, EFER_LMA, EFER_NXE } from '../abi/x86.ts';
import { type Gpa, gpa, type GuestMemory } from './guestMemory.ts';

/** The registers that choose a translation. */
export interface PagingState {
  readonly cr0: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
}

export interface WalkEntry {
  /** 5 or 4 at the top, 1 for a 4 KiB page's entry. */
  readonly level: number;
  readonly gpa: number;
  readonly value: bigint;
}

export interface Translation {
  /** Absent when not mapped. */
  readonly gpa?: Gpa;
  /** Size of the page that maps it; 4096 steps when paging is off. */
  readonly pageBytes: number;
  readonly writable: boolean;
  readonly user: boolean;
  readonly executable: boolean;
  readonly entries: readonly WalkEntry[];
}

const PAGE_BYTES = 4096;
const PTE_P = 1n << 0n;
const PTE_RW = 1n << 1n;
const PTE_US = 1n << 2n;
const PTE_PS = 1n << 7n;
const PTE_NX = 1n << 63n;
const ADDRESS_MASK = 0x000f_ffff_ffff_f000n;
const ADDRESS_MASK_32 = 0xffff_f000n;

/**
 * One paging mode: bits of linear address per level from the top, entry size, and the levels that may map a
 * large page.
 */
interface Format {
  readonly top: number;
  readonly bitsPerLevel: readonly number[];
  readonly entryBytes: 4 | 8;
  readonly linearBits: bigint;
}

const PAGING_32: Format = { top: 2, bitsPerLevel: [10, 10], entryBytes: 4, linearBits: 32n };
const PAGING_PAE: Format = { top: 3, bitsPerLevel: [2, 9, 9], entryBytes: 8, linearBits: 32n };
const PAGING_4: Format = { top: 4, bitsPerLevel: [9, 9, 9, 9], entryBytes: 8, linearBits: 48n };
const PAGING_5: Format = { top: 5, bitsPerLevel: [9, 9, 9, 9, 9], entryBytes: 8, linearBits: 57n };

export function walk(memory: GuestMemory, state: PagingState, linear: bigint): Translation {
  if ((state.cr0 & CR0_PG) === 0n) return identity(memory, linear & 0xffff_ffffn);
  const format = chooseFormat(state);
  if (!isCanonical(linear, format)) return unmapped([]);
  return walkTables(memory, state, format, linear);
}

/** Where a linear address is in RAM, and the size of the page that maps it. */
export interface PagePlace {
  readonly gpa: Gpa;
  readonly pageBytes: number;
}

/**
 * Translates the addresses of a range: neighbouring pages are mapped by neighbouring entries of one table,
 * so the levels above are walked once per table, not once per page. Use one only while the tables cannot
 * change.
 */
export class RangeWalker {
  readonly #memory: GuestMemory;
  readonly #state: PagingState;
  /** The table of 4 KiB pages that the last walk ended in. */
  #table: { readonly linear: bigint; readonly gpa: number } | undefined;

  constructor(memory: GuestMemory, state: PagingState) {
    this.#memory = memory;
    this.#state = state;
  }

  /** `undefined` where nothing is mapped. */
  find(linear: bigint): PagePlace | undefined {
    const format = chooseFormat(this.#state);
    if ((this.#state.cr0 & CR0_PG) === 0n) return place(identity(this.#memory, linear & 0xffff_ffffn));
    const spanBits = BigInt(12 + (format.bitsPerLevel.at(-1) ?? 9));
    const start = (linear >> spanBits) << spanBits;
    if (this.#table?.linear === start) return this.#inTable(this.#table.gpa, format, linear - start, linear);
    const translation = walk(this.#memory, this.#state, linear);
    const last = translation.entries.at(-1);
    // Present or not, a level 1 entry tells where its table is.
    if (last?.level === 1)
      this.#table = { linear: start, gpa: last.gpa - Number((linear - start) >> 12n) * format.entryBytes };
    return place(translation);
  }

  #inTable(table: number, format: Format, offset: bigint, linear: bigint): PagePlace | undefined {
    const at = gpa(table + Number(offset >> 12n) * format.entryBytes);
    const value = format.entryBytes === 4 ? BigInt(this.#memory.readU32(at)) : this.#memory.readU64(at);
    if ((value & PTE_P) === 0n) return undefined;
    const frame = value & (format.entryBytes === 4 ? ADDRESS_MASK_32 : ADDRESS_MASK);
    const address = Number(frame | (linear & 0xfffn));
    return this.#memory.contains(address, 1) ? { gpa: gpa(address), pageBytes: PAGE_BYTES } : undefined;
  }
}

function place({ gpa: address, pageBytes }: Translation): PagePlace | undefined {
  return address === undefined ? undefined : { gpa: address, pageBytes };
}

/**
 * True when the two addresses have the same upper bits that paging needs (SDM 1 §3.3.7.1); 32-bit modes wrap
 * instead.
 */
function isCanonical(linear: bigint, format: Format): boolean {
  return (
    format.linearBits === 32n ||
    BigInt.asUintN(64, BigInt.asIntN(Number(format.linearBits), linear)) === linear
  );
}

function chooseFormat({ cr4, efer }: PagingState): Format {
  if ((efer & EFER_LMA) !== 0n) return (cr4 & CR4_LA57) !== 0n ? PAGING_5 : PAGING_4;
  return (cr4 & CR4_PAE) !== 0n ? PAGING_PAE : PAGING_32;
}

function identity(memory: GuestMemory, linear: bigint): Translation {
  const present = memory.contains(Number(linear), 1);
  const open = { pageBytes: PAGE_BYTES, writable: true, user: true, executable: true, entries: [] };
  return present ? { gpa: gpa(linear), ...open } : open;
}

function unmapped(entries: readonly WalkEntry[]): Translation {
  return { pageBytes: PAGE_BYTES, writable: false, user: false, executable: false, entries };
}

function walkTables(memory: GuestMemory, state: PagingState, format: Format, linear: bigint): Translation {
  const mask = format.entryBytes === 4 ? ADDRESS_MASK_32 : ADDRESS_MASK;
  // A PAE CR3 points at four 8-byte entries with 32-byte alignment.
  let table = Number(format === PAGING_PAE ? state.cr3 & 0xffff_ffe0n : state.cr3 & mask);
  let shift = pageShift(format);
  let rights = { writable: true, user: true, executable: true };
  const entries: WalkEntry[] = [];
  for (let level = format.top, i = 0; level > 0; level--, i++) {
    const bits = format.bitsPerLevel[i] ?? 9;
    const index = Number((BigInt.asUintN(64, linear) >> BigInt(shift)) & ((1n << BigInt(bits)) - 1n));
    const at = table + index * format.entryBytes;
    if (!memory.contains(at, format.entryBytes)) return unmapped(entries);
    const value = format.entryBytes === 4 ? BigInt(memory.readU32(gpa(at))) : memory.readU64(gpa(at));
    entries.push({ level, gpa: at, value });
    if ((value & PTE_P) === 0n) return unmapped(entries);
    rights = narrow(rights, value, format, level, state);
    if (level === 1 || isLargePage(value, level, format, state)) {
      return leaf(memory, value, shift, linear, mask, rights, entries);
    }
    table = Number(value & mask);
    shift -= format.bitsPerLevel[i + 1] ?? 9;
  }
  return unmapped(entries);
}

/** Lowest linear bit that the top level indexes. */
function pageShift(format: Format): number {
  return 12 + format.bitsPerLevel.slice(1).reduce((sum, bits) => sum + bits, 0);
}

function narrow(
  rights: { writable: boolean; user: boolean; executable: boolean },
  value: bigint,
  format: Format,
  level: number,
  state: PagingState,
): typeof rights {
  if (format === PAGING_PAE && level === 3) return rights; // PDPTEs have no R/W, U/S, NX
  const noExecute = format.entryBytes === 8 && (state.efer & EFER_NXE) !== 0n && (value & PTE_NX) !== 0n;
  return {
    writable: rights.writable && (value & PTE_RW) !== 0n,
    user: rights.user && (value & PTE_US) !== 0n,
    executable: rights.executable && !noExecute,
  };
}

function isLargePage(value: bigint, level: number, format: Format, state: PagingState): boolean {
  if ((value & PTE_PS) === 0n) return false;
  if (format === PAGING_32) return level === 2 && (state.cr4 & CR4_PSE) !== 0n;
  if (format === PAGING_PAE) return level === 2;
  return level === 2 || level === 3;
}

function leaf(
  memory: GuestMemory,
  value: bigint,
  shift: number,
  linear: bigint,
  mask: bigint,
  rights: { writable: boolean; user: boolean; executable: boolean },
  entries: readonly WalkEntry[],
): Translation {
  const pageBytes = 2 ** shift;
  const offset = linear & (BigInt(pageBytes) - 1n);
  let frame = value & mask & ~(BigInt(pageBytes) - 1n);
  // PSE-36: bits 13..20 of a 4 MiB entry are address bits 32..39 (SDM 3A §4.3).
  if (mask === ADDRESS_MASK_32 && shift === 22) frame |= ((value >> 13n) & 0xffn) << 32n;
  const address = Number(frame | offset);
  if (!memory.contains(address, 1)) return { ...unmapped(entries), pageBytes };
  return { gpa: gpa(address), pageBytes, ...rights, entries };
}

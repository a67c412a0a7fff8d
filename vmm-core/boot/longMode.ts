/**
 * Long mode with the first 4 GiB mapped one to one: how 64-bit Linux entry points start (boot.rst, "64-bit
 * Boot Protocol").
 */
import { CR0_PE, CR0_PG, CR4_PAE, EFER_LMA, EFER_LME, type SystemRegisters } from '../abi/x86.ts';
import { type GuestMemory, gpa } from '../memory/guestMemory.ts';
import { PAGE_BYTES, PAGE_TABLES } from '../memory/layout.ts';
import type { BootArea } from './bootArea.ts';
import {
  code64,
  COMMON_SYSTEM_REGISTERS,
  dataFlat,
  dataSegments,
  LINUX_SELECTORS,
  writeGdt,
} from './segments.ts';

// Page-table entries, SDM 3A §4.5.
const PTE_PRESENT = 1n << 0n;
const PTE_WRITABLE = 1n << 1n;
const PTE_LARGE = 1n << 7n; // in a page directory: a 2 MiB page

const ENTRIES = 512;
const LARGE_PAGE_BYTES = 2n * 1024n * 1024n;

/**
 * The kernel, its initrd, the zero page and the command line must all be mapped; every one of them is below 4
 * GiB.
 */
const MAPPED_GIB = 4;
const TABLES_BYTES = (2 + MAPPED_GIB) * PAGE_BYTES;

export function enterLongMode(memory: GuestMemory, area: BootArea): SystemRegisters {
  const code = code64(LINUX_SELECTORS.code);
  const data = dataFlat(LINUX_SELECTORS.data);
  return {
    ...COMMON_SYSTEM_REGISTERS,
    ...dataSegments(data),
    cs: code,
    gdt: writeGdt(memory, area, code, data),
    cr0: COMMON_SYSTEM_REGISTERS.cr0 | CR0_PE | CR0_PG,
    cr3: BigInt(writeIdentityMap(memory, area)),
    cr4: CR4_PAE,
    efer: EFER_LME | EFER_LMA,
  };
}

/** PML4, PDPT and one page directory per GiB, in consecutive pages. Returns the PML4's address. */
function writeIdentityMap(memory: GuestMemory, area: BootArea): number {
  const pml4 = area.place(PAGE_TABLES, TABLES_BYTES, PAGE_BYTES);
  const pdpt = pml4 + PAGE_BYTES;
  const firstDirectory = pdpt + PAGE_BYTES;
  memory.slice(gpa(pml4), TABLES_BYTES).fill(0);

  const table = PTE_PRESENT | PTE_WRITABLE;
  memory.writeU64(gpa(pml4), BigInt(pdpt) | table);
  for (let index = 0; index < MAPPED_GIB; index++) {
    memory.writeU64(gpa(pdpt + 8 * index), BigInt(firstDirectory + index * PAGE_BYTES) | table);
  }
  for (let index = 0; index < MAPPED_GIB * ENTRIES; index++) {
    memory.writeU64(gpa(firstDirectory + 8 * index), (BigInt(index) * LARGE_PAGE_BYTES) | table | PTE_LARGE);
  }
  return pml4;
}

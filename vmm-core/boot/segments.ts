/**
 * Segment registers and the GDT that describes them, as boot protocols want them. SDM 3A §3.4.5, table 3-1
 * (types).
 */
import type { DescriptorTable, Segment, SystemRegisters } from '../abi/x86.ts';
import { CR0_ET } from '../abi/x86.ts';
import { type GuestMemory, gpa } from '../memory/guestMemory.ts';
import { BOOT_GDT } from '../memory/layout.ts';
import type { BootArea } from './bootArea.ts';

export interface Selectors {
  readonly code: number;
  readonly data: number;
}

/** Linux's __BOOT_CS and __BOOT_DS (Documentation/arch/x86/boot.rst). */
export const LINUX_SELECTORS: Selectors = { code: 0x10, data: 0x18 };
/**
 * Other protocols leave them open; kernels whose IDT names 0x08 without a GDT of their own run under GRUB and
 * QEMU.
 */
export const FLAT_SELECTORS: Selectors = { code: 0x08, data: 0x10 };
const SELECTOR_TASK = 0x20; // __BOOT_TSS

const TYPE_DATA_RW_ACCESSED = 0x3;
const TYPE_CODE_RX_ACCESSED = 0xb;
const TYPE_LDT = 0x2;
const TYPE_TASK_BUSY = 0xb; // 32-bit TSS, and the 64-bit one of long mode

const TASK_LIMIT = 0x67;
/** A 64-bit TSS descriptor takes two entries; base 0 makes the second one zero. */
const GDT_BYTES = SELECTOR_TASK + 16;

const flat = {
  base: 0n,
  limit: 0xffff_ffff,
  present: true,
  dpl: 0,
  s: true,
  l: false,
  db: true,
  g: true,
  avl: false,
  unusable: false,
} as const;

export function code32(selector: number): Segment {
  return { ...flat, selector, type: TYPE_CODE_RX_ACCESSED };
}

export function code64(selector: number): Segment {
  return { ...code32(selector), l: true, db: false };
}

export function dataFlat(selector: number): Segment {
  return { ...flat, selector, type: TYPE_DATA_RW_ACCESSED };
}

const TASK: Segment = {
  ...flat,
  selector: SELECTOR_TASK,
  type: TYPE_TASK_BUSY,
  limit: TASK_LIMIT,
  s: false,
  db: false,
  g: false,
};

const NO_LDT: Segment = {
  ...TASK,
  selector: 0,
  type: TYPE_LDT,
  limit: 0xffff,
  present: false,
  unusable: true,
};

/** Real mode: base = selector × 16, 64 KiB. SDM 3A §21.1.1. */
export function realModeSegment(selector: number, kind: 'code' | 'data'): Segment {
  return {
    ...flat,
    selector,
    base: BigInt(selector) << 4n,
    limit: 0xffff,
    type: kind === 'code' ? TYPE_CODE_RX_ACCESSED : TYPE_DATA_RW_ACCESSED,
    db: false,
    g: false,
  };
}

/** TR and LDTR that pass VMX's entry checks in every mode (SDM 3C §27.3.1.2). */
export const UNUSED_TASK_AND_LDT = { tr: TASK, ldt: NO_LDT } as const;

/** The state all protocols share: interrupts have nowhere to go yet, no paging, caches on. */
export const COMMON_SYSTEM_REGISTERS = {
  ...UNUSED_TASK_AND_LDT,
  idt: { base: 0n, limit: 0 },
  cr0: CR0_ET,
  cr2: 0n,
  cr3: 0n,
  cr4: 0n,
  cr8: 0n,
  efer: 0n,
} as const;

/** The same flat data segment in all five. */
export function dataSegments(segment: Segment): Pick<SystemRegisters, 'ds' | 'es' | 'fs' | 'gs' | 'ss'> {
  return { ds: segment, es: segment, fs: segment, gs: segment, ss: segment };
}

/**
 * Writes a GDT whose entries equal the hidden parts given to the vCPU, so that a guest may reload its
 * selectors.
 */
export function writeGdt(memory: GuestMemory, area: BootArea, code: Segment, data: Segment): DescriptorTable {
  const address = area.place(BOOT_GDT, GDT_BYTES);
  memory.slice(gpa(address), GDT_BYTES).fill(0);
  for (const segment of [code, data, TASK]) {
    memory.writeU64(gpa(address + segment.selector), descriptor(segment));
  }
  return { base: BigInt(address), limit: GDT_BYTES - 1 };
}

/** SDM 3A figure 3-8: the eight bytes in which base and limit are scattered. */
export function descriptor(segment: Segment): bigint {
  const { base, g, type, s, dpl, present, avl, l, db } = segment;
  const limit = BigInt(g ? segment.limit >>> 12 : segment.limit);
  const access = BigInt(type) | (bit(s) << 4n) | (BigInt(dpl) << 5n) | (bit(present) << 7n);
  const flags = bit(avl) | (bit(l) << 1n) | (bit(db) << 2n) | (bit(g) << 3n);
  return (
    (limit & 0xffffn) |
    ((base & 0xff_ffffn) << 16n) |
    (access << 40n) |
    (((limit >> 16n) & 0xfn) << 48n) |
    (flags << 52n) |
    (((base >> 24n) & 0xffn) << 56n)
  );
}

function bit(value: boolean): bigint {
  return value ? 1n : 0n;
}

/** 32-bit protected mode, flat 4 GiB segments, paging off: how multiboot, PVH, 32-bit bzImages and raw code at 1 MiB start. */
import { CR0_PE, type SystemRegisters } from '../abi/x86.ts';
import type { GuestMemory } from '../memory/guestMemory.ts';
import { CODE_32, COMMON_SYSTEM_REGISTERS, DATA_FLAT, dataSegments, writeGdt } from './segments.ts';

export function enterProtectedMode(memory: GuestMemory): SystemRegisters {
  return {
    ...COMMON_SYSTEM_REGISTERS,
    ...dataSegments(DATA_FLAT),
    cs: CODE_32,
    gdt: writeGdt(memory, CODE_32, DATA_FLAT),
    cr0: COMMON_SYSTEM_REGISTERS.cr0 | CR0_PE,
  };
}

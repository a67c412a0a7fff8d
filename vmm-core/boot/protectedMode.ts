/**
 * 32-bit protected mode, flat 4 GiB segments, paging off: how multiboot, PVH, 32-bit bzImages and raw code at
 * 1 MiB start.
 */
import { CR0_PE, type SystemRegisters } from '../abi/x86.ts';
import type { GuestMemory } from '../memory/guestMemory.ts';
import type { BootArea } from './bootArea.ts';
import {
  code32,
  COMMON_SYSTEM_REGISTERS,
  dataFlat,
  dataSegments,
  FLAT_SELECTORS,
  writeGdt,
} from './segments.ts';

export function enterProtectedMode(
  memory: GuestMemory,
  area: BootArea,
  selectors = FLAT_SELECTORS,
): SystemRegisters {
  const code = code32(selectors.code);
  const data = dataFlat(selectors.data);
  return {
    ...COMMON_SYSTEM_REGISTERS,
    ...dataSegments(data),
    cs: code,
    gdt: writeGdt(memory, area, code, data),
    cr0: COMMON_SYSTEM_REGISTERS.cr0 | CR0_PE,
  };
}

/**
 * Raw code, only when asked for. Two kinds, told apart by the signature that makes a sector bootable:
 *
 *  - bytes 510, 511 are 55 AA: a boot sector (with whatever follows it in the file). Loaded at 0x7c00 and entered at 0000:7C00
 *    in real mode with DL = 0x80, as a PC's BIOS does with the first sector of its first hard disk. There is no BIOS behind
 *    it: the interrupt vectors point at an IRET, so `int 10h` and friends return without doing anything. Print on COM1.
 *  - anything else: loaded at 0x100000 (1 MiB) and entered at its first byte in 32-bit protected mode: flat segments, paging
 *    and interrupts off, all general registers zero.
 */
import { RFLAGS_RESERVED1, type SystemRegisters } from '../abi/x86.ts';
import { BIOS_DATA, BOOT_SECTOR, CONVENTIONAL_RAM_END, HIGH_RAM_BASE, KIB } from '../memory/layout.ts';
import { BootArea } from './bootArea.ts';
import { imageUnsupported } from './bootError.ts';
import { BOOT_FLAG, SECTOR_BYTES } from '../abi/bootParams.ts';
import type { BootRequest } from './bootRequest.ts';
import type { BootState } from './bootState.ts';
import { writeFirmwareTables } from '../firmware/firmwareTables.ts';
import { PC_CHIPS } from '../firmware/pcChips.ts';
import { loadRegions, readIntoRam } from './imageRegions.ts';
import { enterProtectedMode } from './protectedMode.ts';
import { COMMON_SYSTEM_REGISTERS, dataSegments, realModeSegment } from './segments.ts';

const BOOT_SECTOR_MAX_BYTES = CONVENTIONAL_RAM_END - BOOT_SECTOR;
const FIRST_HARD_DISK = 0x80n; // DL
const REAL_MODE_VECTOR_TABLE = { base: 0n, limit: BIOS_DATA - 1 } as const;

export function loadFlat(request: BootRequest, head: Uint8Array): BootState {
  if (request.initrd !== undefined) {
    const what = 'is raw code, for which no protocol says how to find an initrd';
    throw imageUnsupported(request.kernel.name, what, 'leave initrd out, or append it to the image');
  }
  return isBootSector(head) ? loadBootSector(request) : loadRawCode(request);
}

export function isBootSector(head: Uint8Array): boolean {
  return head.length >= SECTOR_BYTES && head[510] === (BOOT_FLAG & 0xff) && head[511] === BOOT_FLAG >> 8;
}

function loadBootSector({ kernel, memory, cpus }: BootRequest): BootState {
  if (kernel.sizeBytes > BOOT_SECTOR_MAX_BYTES) {
    const what = `is a boot sector with ${Math.ceil(kernel.sizeBytes / KIB)} KiB in all, which reach into the ROM area`;
    throw imageUnsupported(kernel.name, what, `keep it below ${BOOT_SECTOR_MAX_BYTES / KIB} KiB`);
  }
  writeFirmwareTables(memory, new BootArea(kernel.name, []), { cpus, chips: PC_CHIPS });
  readIntoRam(kernel, 0, kernel.sizeBytes, memory, BOOT_SECTOR);
  return {
    regs: {
      rip: BigInt(BOOT_SECTOR),
      rsp: BigInt(BOOT_SECTOR),
      rdx: FIRST_HARD_DISK,
      rflags: RFLAGS_RESERVED1,
    },
    sregs: realMode(),
    entry: BigInt(BOOT_SECTOR),
    protocol: 'flat',
  };
}

function loadRawCode({ kernel, memory, cpus }: BootRequest): BootState {
  const sizeBytes = kernel.sizeBytes;
  const region = { address: HIGH_RAM_BASE, fileOffset: 0, fileBytes: sizeBytes, memoryBytes: sizeBytes };
  const area = new BootArea(kernel.name, [region]);
  writeFirmwareTables(memory, area, { cpus, chips: PC_CHIPS });
  loadRegions(kernel, [region], memory);
  return {
    regs: { rip: BigInt(HIGH_RAM_BASE), rflags: RFLAGS_RESERVED1 },
    sregs: enterProtectedMode(memory, area),
    entry: BigInt(HIGH_RAM_BASE),
    protocol: 'flat',
  };
}

function realMode(): SystemRegisters {
  return {
    ...COMMON_SYSTEM_REGISTERS,
    ...dataSegments(realModeSegment(0, 'data')),
    cs: realModeSegment(0, 'code'),
    gdt: { base: 0n, limit: 0xffff },
    idt: REAL_MODE_VECTOR_TABLE,
  };
}

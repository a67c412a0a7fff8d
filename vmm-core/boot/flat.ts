/**
 * Raw code, only when asked for. Two kinds, told apart by the signature that makes a sector bootable:
 *
 *  - bytes 510, 511 are 55 AA: a boot sector (with whatever follows it in the file). Loaded at 0x7c00 and
 *    entered at 0000:7C00 in real mode with DL = 0x80, as a PC's BIOS does with the first sector of its first
 *    hard disk. There is no BIOS behind it: the interrupt vectors point at an IRET, so `int 10h` and friends
 *    return without doing anything. Print on COM1.
 *  - anything else: loaded at 0x100000 (1 MiB) and entered at its first byte in 32-bit protected mode: flat
 *    segments, paging and interrupts off, all general registers zero.
 */
import { BOOT_FLAG, SECTOR_BYTES } from '../abi/bootParams.ts';
import { RFLAGS_RESERVED1, type SystemRegisters } from '../abi/x86.ts';
import { BIOS_DATA, BOOT_SECTOR, CONVENTIONAL_RAM_END, HIGH_RAM_BASE, KIB } from '../memory/layout.ts';
import { imageUnsupported } from './bootError.ts';
import type { BootPlatform, BootRequest } from './bootRequest.ts';
import type { StartState } from './bootState.ts';
import { type ImageRegion, checkRegions, loadRegions } from './imageRegions.ts';
import type { KernelImage } from './kernelImage.ts';
import { kernelLoader } from './kernelLoader.ts';
import { enterProtectedMode } from './protectedMode.ts';
import { COMMON_SYSTEM_REGISTERS, dataSegments, realModeSegment } from './segments.ts';

const BOOT_SECTOR_MAX_BYTES = CONVENTIONAL_RAM_END - BOOT_SECTOR;
const FIRST_HARD_DISK = 0x80n; // DL
const REAL_MODE_VECTOR_TABLE = { base: 0n, limit: BIOS_DATA - 1 } as const;

export const FLAT = kernelLoader({
  setting: 'flat',
  name: 'flat',
  matches: () => false, // any file could be raw code
  locate,
  load,
});

interface FlatImage {
  readonly busy: readonly [ImageRegion];
  readonly isBootSector: boolean;
}

function locate({ head }: KernelImage, { kernel, initrd, memory }: BootRequest): FlatImage {
  if (initrd !== undefined) {
    const what = 'is raw code, for which no protocol says how to find an initrd';
    throw imageUnsupported(kernel.name, what, 'leave initrd out, or append it to the image');
  }
  const { sizeBytes } = kernel;
  if (isBootSector(head) && sizeBytes > BOOT_SECTOR_MAX_BYTES) {
    const kib = Math.ceil(sizeBytes / KIB);
    const what = `is a boot sector with ${kib} KiB in all, which reach into the ROM area`;
    throw imageUnsupported(kernel.name, what, `keep it below ${BOOT_SECTOR_MAX_BYTES / KIB} KiB`);
  }
  const address = isBootSector(head) ? BOOT_SECTOR : HIGH_RAM_BASE;
  const region = { address, fileOffset: 0, fileBytes: sizeBytes, memoryBytes: sizeBytes };
  checkRegions(kernel, [region], memory);
  return { busy: [region], isBootSector: isBootSector(head) };
}

export function isBootSector(head: Uint8Array): boolean {
  if (head.length < SECTOR_BYTES) return false;
  const view = new DataView(head.buffer, head.byteOffset, SECTOR_BYTES);
  return view.getUint16(SECTOR_BYTES - 2, true) === BOOT_FLAG;
}

function load({ kernel, memory }: BootRequest, image: FlatImage, { area }: BootPlatform): StartState {
  loadRegions(kernel, image.busy, memory);
  const entry = BigInt(image.busy[0].address);
  const regs = { rip: entry, rflags: RFLAGS_RESERVED1 };
  return image.isBootSector
    ? { regs: { ...regs, rsp: entry, rdx: FIRST_HARD_DISK }, sregs: realMode(), entry }
    : { regs, sregs: enterProtectedMode(memory, area), entry };
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

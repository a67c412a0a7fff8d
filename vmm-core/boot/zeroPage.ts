/**
 * Fills in Linux's zero page: setup_header, memory map, command line, initrd, RSDP. Used by the bzImage and
 * linux64 protocols.
 */
import {
  BOOT_FLAG,
  BOOT_PARAMS_E820_TABLE,
  BootE820Entry,
  BootParams,
  LOADER_TYPE_UNDEFINED,
  SETUP_HEADER_MAGIC,
} from '../abi/bootParams.ts';
import { type GuestMemory, gpa } from '../memory/guestMemory.ts';
import { PAGE_BYTES, ZERO_PAGE } from '../memory/layout.ts';
import type { BootPlatform } from './bootRequest.ts';
import type { PlacedInitrd } from './initrd.ts';

export interface ZeroPageContents {
  /**
   * The kernel's own setup_header, in place (offset 0x1f1) in a zeroed page; a zero page's worth of zeroes
   * for an ELF.
   */
  readonly template: Uint8Array;
  readonly code32Start: number;
  /** Its address. */
  readonly commandLine: number;
  readonly initrd: PlacedInitrd | undefined;
}

/** Returns the page's address, which the kernel gets in RSI. */
export function writeZeroPage(
  memory: GuestMemory,
  { area, rsdp, memoryMap }: BootPlatform,
  contents: ZeroPageContents,
): number {
  const address = area.place(ZERO_PAGE, PAGE_BYTES, PAGE_BYTES);
  const page = memory.slice(gpa(address), PAGE_BYTES);
  page.fill(0);
  page.set(contents.template);

  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  BootParams.write(view, {
    boot_flag: BOOT_FLAG,
    header: SETUP_HEADER_MAGIC,
    type_of_loader: LOADER_TYPE_UNDEFINED,
    code32_start: contents.code32Start,
    // Both addresses are below 4 GiB, so the ext_ fields stay 0.
    cmd_line_ptr: contents.commandLine,
    ramdisk_image: contents.initrd?.address ?? 0,
    ramdisk_size: contents.initrd?.sizeBytes ?? 0,
    acpi_rsdp_addr: BigInt(rsdp),
    e820_entries: memoryMap.length,
    sentinel: 0,
  });
  memoryMap.forEach(({ address, sizeBytes, type }, index) => {
    const values = { addr: BigInt(address), size: BigInt(sizeBytes), type };
    BootE820Entry.write(view, values, BOOT_PARAMS_E820_TABLE + index * BootE820Entry.size);
  });
  return address;
}

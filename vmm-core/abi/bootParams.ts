/**
 * struct boot_params, Linux's "zero page", with the setup_header in it: <asm/bootparam.h>,
 * Documentation/arch/x86/{boot,zero-page}.rst. A bzImage has the setup_header at the same offset, 0x1f1, so
 * that one table reads the file and writes the page.
 */
import { struct, u16, u32, u64, u8 } from './struct.ts';

export const SETUP_HEADER_OFFSET = 0x1f1;
export const SETUP_HEADER_END_MAX = 0x290; // where edd_mbr_sig_buffer begins
export const SETUP_HEADER_MAGIC = 0x5372_6448; // "HdrS"
export const BOOT_FLAG = 0xaa55;
export const SECTOR_BYTES = 512;
export const LOADER_TYPE_UNDEFINED = 0xff; // a boot loader without an assigned number

// loadflags
export const LOADED_HIGH = 1 << 0;

// xloadflags
export const XLF_KERNEL_64 = 1 << 0;

export const BootParams = struct('boot_params', 4096, {
  acpi_rsdp_addr: u64(0x070),
  ext_ramdisk_image: u32(0x0c0),
  ext_ramdisk_size: u32(0x0c4),
  ext_cmd_line_ptr: u32(0x0c8),
  e820_entries: u8(0x1e8),
  // Must be 0: else Linux distrusts, and clears, what the loader wrote (sanitize_boot_params).
  sentinel: u8(0x1ef),
  // struct setup_header
  setup_sects: u8(0x1f1),
  syssize: u32(0x1f4), // in 16-byte paragraphs
  boot_flag: u16(0x1fe),
  jump: u16(0x200), // its second byte: bytes from 0x202 to the header's end
  header: u32(0x202),
  version: u16(0x206),
  type_of_loader: u8(0x210),
  loadflags: u8(0x211),
  code32_start: u32(0x214),
  ramdisk_image: u32(0x218),
  ramdisk_size: u32(0x21c),
  cmd_line_ptr: u32(0x228),
  initrd_addr_max: u32(0x22c),
  kernel_alignment: u32(0x230),
  relocatable_kernel: u8(0x234),
  xloadflags: u16(0x236),
  cmdline_size: u32(0x238), // without the NUL
  pref_address: u64(0x258),
  init_size: u32(0x260),
});
type SetupHeaderValues = Partial<ReturnType<typeof BootParams.read>>;

/** What setup_sects = 0 means. */
export const SETUP_SECTS_DEFAULT = 4;

/**
 * Fields that a later version of the protocol brought, and what holds for a kernel of before (boot.rst,
 * "Details of header fields").
 */
export const SETUP_HEADER_BEFORE: readonly {
  readonly version: number;
  readonly values: SetupHeaderValues;
}[] = [
  { version: 0x0203, values: { initrd_addr_max: 0x37ff_ffff } },
  { version: 0x0204, values: { syssize: 0 } }, // was 16 bits wide, and says nothing of a bzImage
  { version: 0x0205, values: { kernel_alignment: 0, relocatable_kernel: 0 } },
  { version: 0x0206, values: { cmdline_size: 255 } },
  { version: 0x020a, values: { pref_address: 0n, init_size: 0 } },
  { version: 0x020c, values: { xloadflags: 0 } },
];

export const BOOT_PARAMS_E820_TABLE = 0x2d0;
export const E820_MAX_ENTRIES_ZEROPAGE = 128;

export const BootE820Entry = struct('boot_e820_entry', 20, {
  addr: u64(0),
  size: u64(8),
  type: u32(16),
});

/** Multiboot Specification 0.6.96; names as in its multiboot.h. */
import { struct, u32, u64 } from './struct.ts';

/** The header lies within the first 8192 bytes, 32-bit aligned (§3.1). */
export const MULTIBOOT_SEARCH = 8192;
export const MULTIBOOT_HEADER_MAGIC = 0x1bad_b002;
export const MULTIBOOT_BOOTLOADER_MAGIC = 0x2bad_b002;

// Header flags, §3.1.2. Bits 0 to 15 are requirements.
export const MULTIBOOT_PAGE_ALIGN = 1 << 0; // modules on page boundaries
export const MULTIBOOT_MEMORY_INFO = 1 << 1;
export const MULTIBOOT_VIDEO_MODE = 1 << 2;
export const MULTIBOOT_AOUT_KLUDGE = 1 << 16; // the header carries load addresses

export const MultibootHeader = struct('multiboot_header', 32, {
  magic: u32(0),
  flags: u32(4),
  checksum: u32(8),
  // Only with MULTIBOOT_AOUT_KLUDGE.
  header_addr: u32(12),
  load_addr: u32(16),
  load_end_addr: u32(20),
  bss_end_addr: u32(24),
  entry_addr: u32(28),
});
export const MULTIBOOT_HEADER_BASIC_BYTES = MultibootHeader.fields.header_addr.offset;

// Information flags, §3.3.
export const MULTIBOOT_INFO_MEMORY = 1 << 0;
export const MULTIBOOT_INFO_CMDLINE = 1 << 2;
export const MULTIBOOT_INFO_MODS = 1 << 3;
export const MULTIBOOT_INFO_MEM_MAP = 1 << 6;
export const MULTIBOOT_INFO_BOOT_LOADER_NAME = 1 << 9;

export const MultibootInfo = struct('multiboot_info', 120, {
  flags: u32(0),
  mem_lower: u32(4),
  mem_upper: u32(8),
  cmdline: u32(16),
  mods_count: u32(20),
  mods_addr: u32(24),
  mmap_length: u32(44),
  mmap_addr: u32(48),
  boot_loader_name: u32(64),
});

export const MultibootModule = struct('multiboot_mod_list', 16, {
  mod_start: u32(0),
  mod_end: u32(4),
  cmdline: u32(8),
});

/** `size` does not count itself: the next entry is at offset size + 4. */
export const MultibootMmapEntry = struct('multiboot_mmap_entry', 24, {
  size: u32(0),
  addr: u64(4),
  len: u64(12),
  type: u32(20),
});

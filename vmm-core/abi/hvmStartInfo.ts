/** PVH: Xen's public/elfnote.h and public/arch-x86/hvm/start_info.h. */
import { struct, u32, u64 } from './struct.ts';

export const XEN_ELFNOTE_OWNER = 'Xen';
export const XEN_ELFNOTE_PHYS32_ENTRY = 18;

export const XEN_HVM_START_MAGIC_VALUE = 0x336e_c578;
export const HvmStartInfo = struct('hvm_start_info', 56, {
  magic: u32(0),
  version: u32(4), // 1: memmap is present
  flags: u32(8),
  nr_modules: u32(12),
  modlist_paddr: u64(16),
  cmdline_paddr: u64(24),
  rsdp_paddr: u64(32),
  memmap_paddr: u64(40),
  memmap_entries: u32(48),
});

export const HvmModlistEntry = struct('hvm_modlist_entry', 32, {
  paddr: u64(0),
  size: u64(8),
  cmdline_paddr: u64(16),
});

export const HvmMemmapTableEntry = struct('hvm_memmap_table_entry', 24, {
  addr: u64(0),
  size: u64(8),
  type: u32(16),
});

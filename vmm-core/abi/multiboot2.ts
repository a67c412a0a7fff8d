/** Multiboot2 Specification 2.0; names as in its multiboot2.h. */
import { struct, u32 } from './struct.ts';

export const MULTIBOOT2_HEADER_ALIGN = 8;
export const MULTIBOOT2_HEADER_MAGIC = 0xe852_50d6;

// §3.1.2: the four add up to zero.
export const Multiboot2Header = struct('multiboot_header', 16, {
  magic: u32(0),
  architecture: u32(4),
  header_length: u32(8),
  checksum: u32(12),
});

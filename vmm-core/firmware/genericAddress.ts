/** The first half of a generic address structure, ACPI 6.5 §5.2.3.2; the address is the other (AcpiFadt). */

const SYSTEM_IO = 1;
const ACCESS_SIZES = { 8: 1, 16: 2, 32: 3 } as const;

/** A register in I/O space: space id, bit width, bit offset, access size. */
export function ioSpace(bits: 8 | 16 | 32, accessBits: 8 | 16 | 32): number {
  return SYSTEM_IO | (bits << 8) | (ACCESS_SIZES[accessBits] << 24);
}

/**
 * The memory map that a PC's BIOS gives for INT 15h, E820h. Address range types: ACPI 6.5 §15, table 15.4.
 */
export const E820_RAM = 1;
export const E820_RESERVED = 2;
export const E820_ACPI = 3;
export const E820_NVS = 4;

export interface E820Entry {
  readonly address: number;
  readonly sizeBytes: number;
  readonly type: number;
}

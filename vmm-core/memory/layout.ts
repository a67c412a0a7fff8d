/**
 * The guest-physical address map. Every address the VM itself chooses is named here; devices and boot code
 * import it.
 *
 * Boot data stands where it says here unless the image is loaded there: then it goes elsewhere
 * (boot/bootArea.ts).
 *
 *   0x0_0000_0000  real-mode interrupt vectors, each at an IRET
 *   0x0_0000_0400  BIOS data area
 *   0x0_0000_6000  PVH start_info, module list        | multiboot information, module list, memory map
 *   0x0_0000_7000  Linux zero page                    | PVH memory map
 *   0x0_0000_7c00  boot sector (flat)
 *   0x0_0000_8000  boot stack, then page tables: PML4, PDPT, 4 page directories (identity map of 4 GiB)
 *   0x0_0002_0000  command line, 64 KiB at most
 *   0x0_0003_0000  free
 *   0x0_0009_fc00  ── end of conventional RAM: extended BIOS data area, 1 KiB
 *   0x0_000a_0000  up to 1 MiB video memory and ROM on a PC: plain RAM to us, reserved to the guest; images
 *                  may be loaded there
 *   0x0_000b_8000  text memory
 *   0x0_000e_0000  ACPI: RSDP and tables
 *   0x0_000f_0000  MP floating pointer structure and table
 *   0x0_000f_8000  GDT: no kernel that respects the memory map overwrites it here
 *   0x0_000f_ff53  IRET of the real-mode vectors
 *   0x0_0010_0000  kernel … initrd at the top of low RAM
 *   0x0_c000_0000  ── end of low RAM at most: the 3 GiB hole starts. BARs of PCI functions, 256 MiB
 *   0x0_d000_0000  devices that no bus enumerates (virtio-mmio), 4 KiB each
 *   0x0_e000_0000  configuration space of PCI bus 0 (ECAM), 1 MiB
 *   0x0_fec0_0000  IOAPIC
 *   0x0_fee0_0000  local APIC
 *   0x0_fffb_c000  KVM's identity map page, then its TSS (3 pages): Intel hosts in real mode
 *   0x0_fffc_0000  firmware ROM (top 256 KiB)
 *   0x1_0000_0000  ── RAM above 4 GiB
 */

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;
export const PAGE_BYTES = 4096;

export const BIOS_DATA = 0x400;
export const BIOS_DATA_END = 0x500;

// Boot data, where the image leaves it room.
export const PVH_START_INFO = 0x6000;
export const PVH_MODULE_LIST = 0x6040;
export const MULTIBOOT_INFO = 0x6000;
export const ZERO_PAGE = 0x7000;
export const PVH_MEMORY_MAP = 0x7000;
export const BOOT_STACK = 0x8000;
export const PAGE_TABLES = 0x9000;
export const COMMAND_LINE = 0x20000;
export const COMMAND_LINE_MAX_BYTES = 64 * KIB; // with its NUL

export const BOOT_SECTOR = 0x7c00;

export const CONVENTIONAL_RAM_END = 0x9fc00; // where a PC's extended BIOS data area starts
export const EBDA = CONVENTIONAL_RAM_END;
export const EBDA_BYTES = KIB;
/** Scanned by operating systems for the RSDP (from here on) and the MP floating pointer (from 0xf0000 on). */
export const BIOS_AREA = 0xe0000;
export const ACPI_TABLES = BIOS_AREA;
export const ACPI_TABLES_BYTES = 16 * KIB;
export const MP_TABLE = 0xf0000;
export const BOOT_GDT = 0xf8000;
export const REAL_MODE_IRET = 0xfff53; // F000:FF53, where BIOSes point unused vectors
export const HIGH_RAM_BASE = MIB; // "high" as in a PC's HIMEM

export const HOLE_BASE = 3 * GIB;
export const HOLE_END = 4 * GIB;
export const PCI_MEMORY_BASE = HOLE_BASE;
export const PCI_MEMORY_END = 0xd000_0000;
/** Devices that no bus enumerates: a page each. */
export const PLATFORM_DEVICES = 0xd000_0000;
export const PCI_ECAM = 0xe000_0000;
export const PCI_ECAM_BYTES = MIB; // of one bus
export const KVM_IDENTITY_MAP = 0xfffb_c000; // 1 page, KVM_SET_IDENTITY_MAP_ADDR
export const KVM_TSS = 0xfffb_d000; // 3 pages, KVM_SET_TSS_ADDR
export const FIRMWARE_ROM_BASE = 0xfffc_0000;

/**
 * One WebAssembly.Memory each; V8's largest is 4 GiB, but a typed array over it ends at 2^31 elements in
 * older engines.
 */
export const MAX_SLOT_BYTES = 2 * GIB;

export interface RamRange {
  readonly base: number;
  readonly sizeBytes: number;
}

/**
 * The RAM slots of a VM with that much memory, lowest first: up to 3 GiB from 0, the rest from 4 GiB. A size
 * that is not a multiple of 4 KiB loses its last part page. Used by machine.ts to allocate and by kvm/ to
 * map.
 */
export function ramRanges(memoryBytes: number): RamRange[] {
  const wholeBytes = Math.floor(memoryBytes / PAGE_BYTES) * PAGE_BYTES;
  const lowBytes = Math.min(wholeBytes, HOLE_BASE);
  return [...slots(0, lowBytes), ...slots(HOLE_END, wholeBytes - lowBytes)];
}

/** The end of RAM below the 3 GiB hole. */
export function lowRamEnd(ranges: readonly RamRange[]): number {
  return ranges.reduce(
    (end, { base, sizeBytes }) => (base < HOLE_BASE ? Math.max(end, base + sizeBytes) : end),
    0,
  );
}

function slots(base: number, sizeBytes: number): RamRange[] {
  const ranges: RamRange[] = [];
  for (let done = 0; done < sizeBytes; done += MAX_SLOT_BYTES) {
    ranges.push({ base: base + done, sizeBytes: Math.min(MAX_SLOT_BYTES, sizeBytes - done) });
  }
  return ranges;
}

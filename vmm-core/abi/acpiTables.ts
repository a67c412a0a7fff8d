/**
 * ACPI tables, ACPI 6.5 §5.2; names as in ACPICA's actbl.h, actbl2.h. A table's offsets count from its
 * header's start.
 */
import { chars, struct, u16, u32, u64, u8 } from './struct.ts';

// §5.2.6: the header of every table but RSDP and FACS.
export const AcpiTableHeader = struct('acpi_table_header', 36, {
  signature: chars(0, 4),
  length: u32(4),
  revision: u8(8),
  checksum: u8(9),
  oem_id: chars(10, 6),
  oem_table_id: chars(16, 8),
  oem_revision: u32(24),
  asl_compiler_id: chars(28, 4),
  asl_compiler_revision: u32(32),
});

// §5.2.5.3
export const AcpiRsdp = struct('acpi_table_rsdp', 36, {
  signature: chars(0, 8),
  checksum: u8(8), // of the first 20 bytes
  oem_id: chars(9, 6),
  revision: u8(15),
  rsdt_physical_address: u32(16),
  length: u32(20),
  xsdt_physical_address: u64(24),
  extended_checksum: u8(32),
});
export const ACPI_RSDP_CHECKSUM_LENGTH = 20;

// §5.2.10: the wake vector and the global lock.
export const AcpiFacs = struct('acpi_table_facs', 64, {
  signature: chars(0, 4),
  length: u32(4),
  version: u8(32),
});
export const ACPI_FACS_ALIGNMENT = 64;

// §5.2.9. A generic address structure (§5.2.3.2) is given by its two halves: what it is, and the address.
export const AcpiFadt = struct('acpi_table_fadt', 276, {
  facs: u32(36),
  dsdt: u32(40),
  sci_interrupt: u16(46),
  smi_command: u32(48), // 0: no SMI, ACPI mode is always on
  pm1a_event_block: u32(56),
  pm1a_control_block: u32(64),
  pm_timer_block: u32(76),
  pm1_event_length: u8(88),
  pm1_control_length: u8(89),
  pm_timer_length: u8(91),
  c2_latency: u16(96),
  c3_latency: u16(98),
  century: u8(108),
  boot_flags: u16(109),
  flags: u32(112),
  reset_register: u32(116),
  reset_register_address: u64(120),
  reset_value: u8(128),
  minor_revision: u8(131),
  Xdsdt: u64(140),
  xpm1a_event_block: u32(148),
  xpm1a_event_block_address: u64(152),
  xpm1a_control_block: u32(172),
  xpm1a_control_block_address: u64(176),
  xpm_timer_block: u32(208),
  xpm_timer_block_address: u64(212),
});

// AcpiFadt.boot_flags, table 5.11
export const ACPI_FADT_LEGACY_DEVICES = 1 << 0;
export const ACPI_FADT_8042 = 1 << 1;
export const ACPI_FADT_NO_VGA = 1 << 2;

// AcpiFadt.flags, table 5.10
export const ACPI_FADT_WBINVD = 1 << 0;
export const ACPI_FADT_C1_SUPPORTED = 1 << 2;
export const ACPI_FADT_POWER_BUTTON = 1 << 4; // 0: the power button is the fixed-feature one of PM1_STS
export const ACPI_FADT_SLEEP_BUTTON = 1 << 5; // 1: there is no fixed-feature sleep button
export const ACPI_FADT_FIXED_RTC = 1 << 6; // 1: RTC wake status is not in PM1_STS
export const ACPI_FADT_32BIT_TIMER = 1 << 8; // of the PM timer
export const ACPI_FADT_RESET_REGISTER = 1 << 10;

// Microseconds; above 100 and 1000: the processor has no C2, no C3.
export const ACPI_C2_UNSUPPORTED = 101;
export const ACPI_C3_UNSUPPORTED = 1001;

// §5.2.12
export const AcpiMadt = struct('acpi_table_madt', 44, { address: u32(36), flags: u32(40) });
export const ACPI_MADT_PCAT_COMPAT = 1 << 0; // there are two 8259s to mask

// Entries of the MADT, table 5.21.
export const ACPI_MADT_TYPE_LOCAL_APIC = 0;
export const ACPI_MADT_TYPE_IO_APIC = 1;
export const ACPI_MADT_TYPE_INTERRUPT_OVERRIDE = 2;
export const ACPI_MADT_TYPE_LOCAL_APIC_NMI = 4;

export const AcpiMadtLocalApic = struct('acpi_madt_local_apic', 8, {
  type: u8(0),
  length: u8(1),
  processor_id: u8(2),
  id: u8(3),
  lapic_flags: u32(4),
});
export const ACPI_MADT_ENABLED = 1 << 0;

export const AcpiMadtIoApic = struct('acpi_madt_io_apic', 12, {
  type: u8(0),
  length: u8(1),
  id: u8(2),
  address: u32(4),
  global_irq_base: u32(8),
});

export const AcpiMadtInterruptOverride = struct('acpi_madt_interrupt_override', 10, {
  type: u8(0),
  length: u8(1),
  bus: u8(2),
  source_irq: u8(3),
  global_irq: u32(4),
  inti_flags: u16(8),
});
export const ACPI_MADT_BUS_ISA = 0;

export const AcpiMadtLocalApicNmi = struct('acpi_madt_local_apic_nmi', 6, {
  type: u8(0),
  length: u8(1),
  processor_id: u8(2),
  inti_flags: u16(3),
  lint: u8(5),
});
export const ACPI_MADT_ALL_PROCESSORS = 0xff;

// PCI Firmware 3.3 §4.1.2
export const AcpiMcfg = struct('acpi_table_mcfg', 44, {});
export const AcpiMcfgAllocation = struct('acpi_mcfg_allocation', 16, {
  address: u64(0),
  pci_segment: u16(8),
  start_bus_number: u8(10),
  end_bus_number: u8(11),
});

// inti_flags, table 5.26 (the MP table's interrupt flags, too): 0 is what the bus has.
export const ACPI_MADT_POLARITY_ACTIVE_HIGH = 1;
export const ACPI_MADT_TRIGGER_LEVEL = 3 << 2;

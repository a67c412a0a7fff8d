/**
 * ACPI tables: how an operating system finds its CPUs and interrupt controllers, powers off, and resets. ACPI 6.5 §5.2.
 * The RSDP first, in the BIOS area, where a scan finds it; the other tables behind it.
 *
 * Not hardware-reduced: this machine has the PM1 registers, a PM timer, the PIC and the PIT. There is no SMI_CMD, so ACPI mode is
 * always on, and SCI_EN in PM1_CNT has to read as 1.
 */
import { ACPI_PM1_CONTROL, ACPI_PM_TIMER, IRQ_ACPI_SCI, PORT_ACPI_PM } from '../abi/acpiPm.ts';
import { PORT_RESET_CONTROL, RESET_CONTROL_RESET } from '../abi/resetControl.ts';
import { struct, u16, u32, u64, u8 } from '../abi/struct.ts';
import { type GuestMemory, gpa } from '../memory/guestMemory.ts';
import { ACPI_TABLES, ACPI_TABLES_BYTES, IOAPIC_BASE, LAPIC_BASE } from '../memory/layout.ts';
import { type Aml, concat } from './aml.ts';
import type { TableArea } from './tableArea.ts';
import { checksum } from './checksum.ts';
import { dsdtTerms } from './dsdt.ts';

export interface AcpiOptions {
  readonly cpus: number;
  /** Further devices for \_SB. */
  readonly devices?: readonly Aml[];
}

const TABLE_ALIGNMENT = 64; // the FACS's, §5.2.10
const OEM_ID = 'TRAPFR';
const OEM_TABLE_ID = 'TRAPFRAM';
const CREATOR_ID = 'TFVM';

/** Writes all tables and returns the RSDP's address. */
export function writeAcpiTables(memory: GuestMemory, area: TableArea, options: AcpiOptions): number {
  const start = area.place(ACPI_TABLES, ACPI_TABLES_BYTES, TABLE_ALIGNMENT);
  const allocator = { next: start, end: start + ACPI_TABLES_BYTES };
  const rsdpAddress = reserve(allocator, Rsdp.size);
  const facs = place(memory, allocator, facsTable());
  const dsdt = place(memory, allocator, table('DSDT', 2, concat(...dsdtTerms(options.devices))));
  const fadt = place(memory, allocator, fadtTable(facs, dsdt));
  const madt = place(memory, allocator, madtTable(options.cpus));
  const rsdt = place(memory, allocator, table('RSDT', 1, u32List([fadt, madt])));
  const xsdt = place(memory, allocator, table('XSDT', 1, u64List([fadt, madt])));
  memory.write(gpa(rsdpAddress), rsdp(rsdt, xsdt));
  return rsdpAddress;
}

// §5.2.6: the header of every table but RSDP and FACS.
const Header = struct('acpi_table_header', 36, {
  length: u32(4),
  revision: u8(8),
  checksum: u8(9),
  oem_revision: u32(24),
  creator_revision: u32(32),
});

function table(signature: string, revision: number, body: Uint8Array): Uint8Array {
  const bytes = concat(Header.bytes({ length: Header.size + body.length, revision, oem_revision: 1 }), body);
  putText(bytes, 0, signature);
  putText(bytes, 10, OEM_ID);
  putText(bytes, 16, OEM_TABLE_ID);
  putText(bytes, 28, CREATOR_ID);
  Header.write(viewOf(bytes), { creator_revision: 1 });
  bytes[Header.fields.checksum.offset] = checksum(bytes);
  return bytes;
}

// §5.2.5.3
const Rsdp = struct('acpi_table_rsdp', 36, {
  checksum: u8(8), // of the first 20 bytes
  revision: u8(15),
  rsdt_physical_address: u32(16),
  length: u32(20),
  xsdt_physical_address: u64(24),
  extended_checksum: u8(32),
});
const RSDP_V1_BYTES = 20;

function rsdp(rsdt: number, xsdt: number): Uint8Array {
  const bytes = Rsdp.bytes({
    revision: 2,
    rsdt_physical_address: rsdt,
    length: Rsdp.size,
    xsdt_physical_address: BigInt(xsdt),
  });
  putText(bytes, 0, 'RSD PTR ');
  putText(bytes, 9, OEM_ID);
  bytes[Rsdp.fields.checksum.offset] = checksum(bytes.subarray(0, RSDP_V1_BYTES));
  bytes[Rsdp.fields.extended_checksum.offset] = checksum(bytes);
  return bytes;
}

// §5.2.10: the wake vector and the global lock, for sleep states that this machine does not have; the FADT needs it all the same.
const Facs = struct('acpi_table_facs', 64, { length: u32(4), version: u8(32) });

function facsTable(): Uint8Array {
  const bytes = Facs.bytes({ length: Facs.size, version: 2 });
  putText(bytes, 0, 'FACS');
  return bytes;
}

// §5.2.9: offsets count from the table's start. A GAS (generic address structure, §5.2.3.2) is given by its two non-zero halves.
const Fadt = struct('acpi_table_fadt', 276, {
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
const FADT_REVISION = 6;
const FADT_MINOR_REVISION = 3;

// boot_flags, table 5.11
const LEGACY_DEVICES = 1 << 0;
const I8042_PRESENT = 1 << 1;
const VGA_NOT_PRESENT = 1 << 2;

// flags, table 5.10. PWR_BUTTON (bit 4) is 0: the power button is the fixed-feature one of PM1_STS.
const WBINVD = 1 << 0;
const PROC_C1 = 1 << 2;
const SLP_BUTTON = 1 << 5; // 1: there is no fixed-feature sleep button
const FIX_RTC = 1 << 6; // 1: RTC wake status is not in PM1_STS
const TMR_VAL_EXT = 1 << 8; // the PM timer has 32 bits
const RESET_REG_SUP = 1 << 10;

const LATENCY_C2_UNSUPPORTED = 101; // microseconds; above 100: no C2
const LATENCY_C3_UNSUPPORTED = 1001;
const CMOS_CENTURY = 0x32;

/** The first four bytes of a GAS in system I/O space: space id, bit width, bit offset, access size (1: byte, 2: word, 3: dword). */
function ioSpace(bits: 8 | 16 | 32, accessBits: 8 | 16 | 32): number {
  const systemIo = 1;
  const accessSize = { 8: 1, 16: 2, 32: 3 }[accessBits];
  return systemIo | (bits << 8) | (accessSize << 24);
}

function fadtTable(facs: number, dsdt: number): Uint8Array {
  const full = Fadt.bytes({
    facs,
    dsdt,
    Xdsdt: BigInt(dsdt),
    sci_interrupt: IRQ_ACPI_SCI,
    smi_command: 0,
    pm1a_event_block: PORT_ACPI_PM,
    pm1_event_length: 4,
    xpm1a_event_block: ioSpace(32, 16),
    xpm1a_event_block_address: BigInt(PORT_ACPI_PM),
    pm1a_control_block: PORT_ACPI_PM + ACPI_PM1_CONTROL,
    pm1_control_length: 2,
    xpm1a_control_block: ioSpace(16, 16),
    xpm1a_control_block_address: BigInt(PORT_ACPI_PM + ACPI_PM1_CONTROL),
    pm_timer_block: PORT_ACPI_PM + ACPI_PM_TIMER,
    pm_timer_length: 4,
    xpm_timer_block: ioSpace(32, 32),
    xpm_timer_block_address: BigInt(PORT_ACPI_PM + ACPI_PM_TIMER),
    c2_latency: LATENCY_C2_UNSUPPORTED,
    c3_latency: LATENCY_C3_UNSUPPORTED,
    century: CMOS_CENTURY,
    boot_flags: LEGACY_DEVICES | I8042_PRESENT | VGA_NOT_PRESENT,
    flags: WBINVD | PROC_C1 | SLP_BUTTON | FIX_RTC | TMR_VAL_EXT | RESET_REG_SUP,
    reset_register: ioSpace(8, 8),
    reset_register_address: BigInt(PORT_RESET_CONTROL),
    reset_value: RESET_CONTROL_RESET,
    minor_revision: FADT_MINOR_REVISION,
  });
  return table('FACP', FADT_REVISION, full.subarray(Header.size));
}

// §5.2.12. Entries start with type and length.
const MADT_REVISION = 5;
const PCAT_COMPAT = 1 << 0; // there are two 8259s to mask
const MADT_LOCAL_APIC = 0;
const MADT_IO_APIC = 1;
const MADT_INTERRUPT_OVERRIDE = 2;
const MADT_LOCAL_APIC_NMI = 4;
const LAPIC_ENABLED = 1 << 0;
const IOAPIC_ID = 0;
// Flags of MPS INTI (table 5.26): polarity in bits 0-1, trigger in bits 2-3.
const ACTIVE_HIGH = 1;
const LEVEL_TRIGGERED = 3 << 2;
const ALL_PROCESSORS = 0xff;
const LINT1 = 1;

/**
 * ISA interrupts reach the IOAPIC input of their own number: KVM's default routing has it so for the PIT too (IRQ 0 on input 0,
 * unlike a real PC and QEMU, which use input 2), hence no override for IRQ 0.
 */
function madtTable(cpus: number): Uint8Array {
  const localApics = Array.from({ length: cpus }, (_, id) =>
    Uint8Array.of(MADT_LOCAL_APIC, 8, id, id, ...u32List([LAPIC_ENABLED])),
  );
  return table(
    'APIC',
    MADT_REVISION,
    concat(
      u32List([LAPIC_BASE, PCAT_COMPAT]),
      ...localApics,
      Uint8Array.of(MADT_IO_APIC, 12, IOAPIC_ID, 0, ...u32List([IOAPIC_BASE, 0])),
      interruptOverride(IRQ_ACPI_SCI, IRQ_ACPI_SCI, ACTIVE_HIGH | LEVEL_TRIGGERED),
      Uint8Array.of(MADT_LOCAL_APIC_NMI, 6, ALL_PROCESSORS, 0, 0, LINT1),
    ),
  );
}

function interruptOverride(irq: number, gsi: number, flags: number): Uint8Array {
  const isaBus = 0;
  return Uint8Array.of(MADT_INTERRUPT_OVERRIDE, 10, isaBus, irq, ...u32List([gsi]), flags, 0);
}

interface Allocator {
  next: number;
  readonly end: number;
}

/** Hands out the area in units that suit the FACS. */
function reserve(allocator: Allocator, sizeBytes: number): number {
  const address = allocator.next;
  allocator.next += Math.ceil(sizeBytes / TABLE_ALIGNMENT) * TABLE_ALIGNMENT;
  if (allocator.next > allocator.end) throw new RangeError('ACPI tables do not fit into their area');
  return address;
}

function place(memory: GuestMemory, allocator: Allocator, bytes: Uint8Array): number {
  const address = reserve(allocator, bytes.length);
  memory.write(gpa(address), bytes);
  return address;
}

function putText(bytes: Uint8Array, offset: number, text: string): void {
  for (let index = 0; index < text.length; index++) bytes[offset + index] = text.charCodeAt(index);
}

function u32List(values: readonly number[]): Uint8Array {
  return new Uint8Array(new Uint32Array(values).buffer);
}

function u64List(values: readonly number[]): Uint8Array {
  return new Uint8Array(new BigUint64Array(values.map(BigInt)).buffer);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

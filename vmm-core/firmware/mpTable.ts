/**
 * The MP table: CPUs and interrupt routing for kernels from before ACPI, or without it (xv6, JOS, Xen's early boot). Intel
 * MultiProcessor Specification 1.4, § numbers below. It says what the MADT says (acpi.ts), in older words.
 */
import { IRQ_ACPI_SCI } from '../abi/acpiPm.ts';
import { struct, u16, u32, u8 } from '../abi/struct.ts';
import { type GuestMemory, gpa } from '../memory/guestMemory.ts';
import { IOAPIC_BASE, LAPIC_BASE, MP_TABLE } from '../memory/layout.ts';
import { concat } from './aml.ts';
import type { TableArea } from './tableArea.ts';
import { checksum } from './checksum.ts';

/** §4.1 */
export const MpFloatingPointer = struct('mpf_intel', 16, {
  signature: u32(0),
  physptr: u32(4),
  length: u8(8), // in 16-byte units
  specification: u8(9),
  checksum: u8(10),
  feature1: u8(11), // 0: there is a configuration table
  feature2: u8(12), // bit 7: IMCR present; there is none, the PIC is wired to LINT0 (virtual wire mode)
});

/** §4.2 */
export const MpConfigTable = struct('mpc_table', 44, {
  signature: u32(0),
  length: u16(4),
  specification: u8(6),
  checksum: u8(7),
  oemcount: u16(34),
  lapic: u32(36),
});
const OEM_ID = 'TRAPFR  ';
const PRODUCT_ID = 'TRAPFRAME   ';

/** §4.3.1 */
const MpProcessor = struct('mpc_cpu', 20, {
  type: u8(0),
  apicid: u8(1),
  apicver: u8(2),
  cpuflag: u8(3),
  cpufeature: u32(4),
  featureflag: u32(8),
});

const SIGNATURE_POINTER = 0x5f50_4d5f; // "_MP_"
const SIGNATURE_TABLE = 0x504d_4350; // "PCMP"
const SPECIFICATION = 4; // 1.4

// Entry types, table 4-3.
const MP_PROCESSOR = 0;
const MP_BUS = 1;
const MP_IOAPIC = 2;
const MP_INTSRC = 3;
const MP_LINTSRC = 4;

const CPU_ENABLED = 1 << 0;
const CPU_BOOTPROCESSOR = 1 << 1;
const CPU_SIGNATURE = 0x600; // family 6
const CPU_FEATURES = (1 << 0) | (1 << 9); // FPU, APIC
const APIC_VERSION = 0x14; // of KVM's local APICs
const IOAPIC_VERSION = 0x11;
/** The IOAPIC's register says so after reset. xv6 compares the two. */
const IOAPIC_ID = 0;
const ISA_BUS = 0;

// Interrupt types, table 4-10; flags as in table 4-11: polarity in bits 0-1, trigger mode in bits 2-3, 0: as the bus has it.
const INT = 0;
const NMI = 1;
const EXT_INT = 3;
const ACTIVE_HIGH_LEVEL = 0b1101;
const ISA_IRQS = 16;
const IRQ_PIC_CASCADE = 2;
const BOOT_PROCESSOR = 0;
const ALL_PROCESSORS = 0xff;

/** Pointer and table, the one behind the other, where a scan finds them. */
export function writeMpTable(memory: GuestMemory, area: TableArea, cpus: number): void {
  const table = configTable(cpus);
  const address = area.place(MP_TABLE, MpFloatingPointer.size + table.length);
  const pointer = MpFloatingPointer.bytes({
    signature: SIGNATURE_POINTER,
    physptr: address + MpFloatingPointer.size,
    length: 1,
    specification: SPECIFICATION,
  });
  pointer[MpFloatingPointer.fields.checksum.offset] = checksum(pointer);
  memory.write(gpa(address), pointer);
  memory.write(gpa(address + MpFloatingPointer.size), table);
}

/** Entries are sorted by type, §4.3. */
function configTable(cpus: number): Uint8Array {
  const processors = Array.from({ length: cpus }, (_, id) => processor(id));
  const isaIrqs = Array.from({ length: ISA_IRQS }, (_, irq) => irq).filter((irq) => irq !== IRQ_PIC_CASCADE);
  const entries = [
    ...processors,
    concat(Uint8Array.of(MP_BUS, ISA_BUS), ascii('ISA   ')),
    concat(Uint8Array.of(MP_IOAPIC, IOAPIC_ID, IOAPIC_VERSION, 1), u32Bytes(IOAPIC_BASE)),
    ...isaIrqs.map(isaInterrupt),
    Uint8Array.of(MP_LINTSRC, EXT_INT, 0, 0, ISA_BUS, 0, BOOT_PROCESSOR, 0),
    Uint8Array.of(MP_LINTSRC, NMI, 0, 0, ISA_BUS, 0, ALL_PROCESSORS, 1),
  ];
  const body = concat(...entries);
  const header = MpConfigTable.bytes({
    signature: SIGNATURE_TABLE,
    length: MpConfigTable.size + body.length,
    specification: SPECIFICATION,
    oemcount: entries.length,
    lapic: LAPIC_BASE,
  });
  header.set(ascii(OEM_ID + PRODUCT_ID), 8);
  const table = concat(header, body);
  table[MpConfigTable.fields.checksum.offset] = checksum(table);
  return table;
}

function processor(id: number): Uint8Array {
  return MpProcessor.bytes({
    type: MP_PROCESSOR,
    apicid: id,
    apicver: APIC_VERSION,
    cpuflag: CPU_ENABLED | (id === 0 ? CPU_BOOTPROCESSOR : 0),
    cpufeature: CPU_SIGNATURE,
    featureflag: CPU_FEATURES,
  });
}

/** §4.3.4. Each on the IOAPIC input of its own number, the PIT's too: KVM's default routing (see madtTable in acpi.ts). */
function isaInterrupt(irq: number): Uint8Array {
  const flags = irq === IRQ_ACPI_SCI ? ACTIVE_HIGH_LEVEL : 0;
  return Uint8Array.of(MP_INTSRC, INT, flags, 0, ISA_BUS, irq, IOAPIC_ID, irq);
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function u32Bytes(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

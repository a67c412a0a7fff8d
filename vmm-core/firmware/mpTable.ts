/**
 * The MP table: CPUs and interrupt routing for kernels from before ACPI, or without it (xv6, JOS, Xen's early
 * boot). Intel MultiProcessor Specification 1.4, § numbers below. It says what the MADT says (madt.ts), in
 * older words.
 */
import { ACPI_MADT_POLARITY_ACTIVE_HIGH, ACPI_MADT_TRIGGER_LEVEL } from '../abi/acpiTables.ts';
import { LAPIC_BASE } from '../abi/localApic.ts';
import {
  CPU_BOOTPROCESSOR,
  CPU_ENABLED,
  MPC_APIC_USABLE,
  MPC_SPECIFICATION_1_4,
  MP_APIC_ALL,
  MP_BUS,
  MP_INTSRC,
  MP_IOAPIC,
  MP_LINTSRC,
  MP_PROCESSOR,
  MpBus,
  MpConfigTable,
  MpFloatingPointer,
  MpInterruptSource,
  MpIoApic,
  MpLocalInterruptSource,
  MpProcessor,
  mp_ExtINT,
  mp_INT,
  mp_NMI,
} from '../abi/mpTable.ts';
import { type GuestMemory, gpa } from '../memory/guestMemory.ts';
import { MP_TABLE } from '../memory/layout.ts';
import { concat } from './aml.ts';
import { checksum } from './checksum.ts';
import type { Board, IoApic, PciInterrupt } from './contribution.ts';
import type { TableArea } from './tableArea.ts';

const OEM_ID = 'TRAPFR  ';
const PRODUCT_ID = 'TRAPFRAME   ';
const CPU_SIGNATURE = 0x600; // family 6
const CPU_FEATURES = (1 << 0) | (1 << 9); // FPU, APIC
const APIC_VERSION = 0x14; // of KVM's local APICs
const BOOT_PROCESSOR = 0;
/** Kernels take the number of a PCI bus here for its number in configuration space. */
const PCI_BUS = 0;
const ISA_BUS = 1;
const LINT0 = 0;
const LINT1 = 1;

/** Pointer and table, the one behind the other, where a scan finds them. */
export function writeMpTable(memory: GuestMemory, area: TableArea, board: Board): void {
  const table = configTable(board);
  const address = area.place(MP_TABLE, MpFloatingPointer.size + table.length);
  const pointer = MpFloatingPointer.bytes({
    signature: '_MP_',
    physptr: address + MpFloatingPointer.size,
    length: 1,
    specification: MPC_SPECIFICATION_1_4,
  });
  pointer[MpFloatingPointer.fields.checksum.offset] = checksum(pointer);
  memory.write(gpa(address), pointer);
  memory.write(gpa(address + MpFloatingPointer.size), table);
}

function configTable(board: Board): Uint8Array {
  const entries = configEntries(board);
  const body = concat(...entries);
  const header = MpConfigTable.bytes({
    signature: 'PCMP',
    length: MpConfigTable.size + body.length,
    specification: MPC_SPECIFICATION_1_4,
    oem: OEM_ID,
    productid: PRODUCT_ID,
    oemcount: entries.length,
    lapic: LAPIC_BASE,
  });
  const table = concat(header, body);
  table[MpConfigTable.fields.checksum.offset] = checksum(table);
  return table;
}

/** Sorted by type, §4.3. */
function configEntries({ cpus, chips }: Board): Uint8Array[] {
  return [
    ...Array.from({ length: cpus }, (_, id) => processor(id)),
    MpBus.bytes({ type: MP_BUS, busid: PCI_BUS, bustype: 'PCI   ' }),
    MpBus.bytes({ type: MP_BUS, busid: ISA_BUS, bustype: 'ISA   ' }),
    ...chips.flatMap((chip) => chip.ioApics ?? []).map(ioApic),
    ...isaInterrupts(chips),
    ...pciInterrupts(chips),
    localInterrupt(mp_ExtINT, BOOT_PROCESSOR, LINT0),
    localInterrupt(mp_NMI, MP_APIC_ALL, LINT1),
  ];
}

function processor(id: number): Uint8Array {
  return MpProcessor.bytes({
    type: MP_PROCESSOR,
    apicid: id,
    apicver: APIC_VERSION,
    cpuflag: CPU_ENABLED | (id === BOOT_PROCESSOR ? CPU_BOOTPROCESSOR : 0),
    cpufeature: CPU_SIGNATURE,
    featureflag: CPU_FEATURES,
  });
}

function ioApic({ id, version, address }: IoApic): Uint8Array {
  return MpIoApic.bytes({
    type: MP_IOAPIC,
    apicid: id,
    apicver: version,
    flags: MPC_APIC_USABLE,
    apicaddr: address,
  });
}

/**
 * §4.3.4. Each on the IOAPIC input of its own number but for what chips override, as in the MADT. Those that
 * PCI has are not the ISA bus's.
 */
function isaInterrupts(chips: Board['chips']): Uint8Array[] {
  const overrides = chips.flatMap((chip) => chip.interruptOverrides ?? []);
  const ofPci = new Set(chips.flatMap((chip) => chip.pciInterrupts ?? []).map(({ gsi }) => gsi));
  return chips
    .flatMap((chip) => chip.isaIrqs ?? [])
    .map((irq) => overrides.find((it) => it.irq === irq) ?? { irq, gsi: irq, flags: 0 })
    .filter(({ gsi }) => !ofPci.has(gsi))
    .map(({ irq, gsi, flags }) => interruptSource(chips, { bus: ISA_BUS, irq, gsi, flags }));
}

function pciInterrupts(chips: Board['chips']): Uint8Array[] {
  const flags = ACPI_MADT_POLARITY_ACTIVE_HIGH | ACPI_MADT_TRIGGER_LEVEL;
  return chips
    .flatMap((chip) => chip.pciInterrupts ?? [])
    .map((it) => interruptSource(chips, { bus: PCI_BUS, irq: pciSource(it), gsi: it.gsi, flags }));
}

/** Table D-2: the source of a PCI interrupt is its pin and device. */
function pciSource({ device, pin }: PciInterrupt): number {
  return (device << 2) | pin;
}

interface InterruptSource {
  readonly bus: number;
  readonly irq: number;
  readonly gsi: number;
  readonly flags: number;
}

function interruptSource(chips: Board['chips'], { bus, irq, gsi, flags }: InterruptSource): Uint8Array {
  const ioApics = chips.flatMap((chip) => chip.ioApics ?? []);
  const target = ioApics.findLast(({ gsiBase }) => gsiBase <= gsi);
  return MpInterruptSource.bytes({
    type: MP_INTSRC,
    irqtype: mp_INT,
    irqflag: flags,
    srcbus: bus,
    srcbusirq: irq,
    dstapic: target?.id ?? 0,
    dstirq: gsi - (target?.gsiBase ?? 0),
  });
}

function localInterrupt(irqtype: number, destapic: number, destapiclint: number): Uint8Array {
  return MpLocalInterruptSource.bytes({
    type: MP_LINTSRC,
    irqtype,
    srcbusid: ISA_BUS,
    destapic,
    destapiclint,
  });
}

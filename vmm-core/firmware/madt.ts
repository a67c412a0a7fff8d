/** The multiple APIC description: processors and interrupt controllers. ACPI 6.5 §5.2.12. */
import {
  ACPI_MADT_ALL_PROCESSORS,
  ACPI_MADT_BUS_ISA,
  ACPI_MADT_ENABLED,
  ACPI_MADT_TYPE_INTERRUPT_OVERRIDE,
  ACPI_MADT_TYPE_IO_APIC,
  ACPI_MADT_TYPE_LOCAL_APIC,
  ACPI_MADT_TYPE_LOCAL_APIC_NMI,
  AcpiMadt,
  AcpiMadtInterruptOverride,
  AcpiMadtIoApic,
  AcpiMadtLocalApic,
  AcpiMadtLocalApicNmi,
  AcpiTableHeader,
} from '../abi/acpiTables.ts';
import { LAPIC_BASE } from '../abi/localApic.ts';
import { acpiTable } from './acpiTable.ts';
import { concat } from './aml.ts';
import type { Board, InterruptOverride, IoApic } from './contribution.ts';

const MADT_REVISION = 5;
const LINT1 = 1;

/**
 * Local APIC ids are below 255, so that none needs an entry of the other kind (§5.2.12.12, x2APIC); a guest
 * turns that mode on by CPUID all the same. ISA interrupts reach the IOAPIC input of their own number but for
 * what chips override.
 */
export function madt({ cpus, chips }: Board): Uint8Array {
  const head = AcpiMadt.bytes({
    address: LAPIC_BASE,
    flags: chips.reduce((flags, chip) => flags | (chip.madtFlags ?? 0), 0),
  });
  const body = concat(
    head.subarray(AcpiTableHeader.size),
    ...Array.from({ length: cpus }, (_, id) => localApic(id)),
    ...chips.flatMap((chip) => chip.ioApics ?? []).map(ioApic),
    ...chips.flatMap((chip) => chip.interruptOverrides ?? []).map(interruptOverride),
    localApicNmi(),
  );
  return acpiTable('APIC', MADT_REVISION, body);
}

function localApic(id: number): Uint8Array {
  return AcpiMadtLocalApic.bytes({
    type: ACPI_MADT_TYPE_LOCAL_APIC,
    length: AcpiMadtLocalApic.size,
    processor_id: id,
    id,
    lapic_flags: ACPI_MADT_ENABLED,
  });
}

function ioApic({ id, address, gsiBase }: IoApic): Uint8Array {
  return AcpiMadtIoApic.bytes({
    type: ACPI_MADT_TYPE_IO_APIC,
    length: AcpiMadtIoApic.size,
    id,
    address,
    global_irq_base: gsiBase,
  });
}

function interruptOverride({ irq, gsi, flags }: InterruptOverride): Uint8Array {
  return AcpiMadtInterruptOverride.bytes({
    type: ACPI_MADT_TYPE_INTERRUPT_OVERRIDE,
    length: AcpiMadtInterruptOverride.size,
    bus: ACPI_MADT_BUS_ISA,
    source_irq: irq,
    global_irq: gsi,
    inti_flags: flags,
  });
}

function localApicNmi(): Uint8Array {
  return AcpiMadtLocalApicNmi.bytes({
    type: ACPI_MADT_TYPE_LOCAL_APIC_NMI,
    length: AcpiMadtLocalApicNmi.size,
    processor_id: ACPI_MADT_ALL_PROCESSORS,
    lint: LINT1,
  });
}

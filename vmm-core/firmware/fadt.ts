/**
 * The fixed ACPI description: which fixed hardware there is, and where. ACPI 6.5 §5.2.9.
 *
 * Not hardware-reduced: this machine has the PM1 registers and a PM timer. There is no SMI_CMD, so ACPI mode
 * is always on, and SCI_EN in PM1_CNT has to read as 1.
 */
import {
  ACPI_C2_UNSUPPORTED,
  ACPI_C3_UNSUPPORTED,
  ACPI_FADT_C1_SUPPORTED,
  ACPI_FADT_LEGACY_DEVICES,
  ACPI_FADT_WBINVD,
  AcpiFadt,
  AcpiTableHeader,
} from '../abi/acpiTables.ts';
import { acpiTable } from './acpiTable.ts';
import type { Board, FadtValues } from './contribution.ts';

const FADT_REVISION = 6;
const FADT_MINOR_REVISION = 3;

/** What holds for the board without its chips: it has an ISA bus and processors. */
const BOARD: FadtValues = {
  c2_latency: ACPI_C2_UNSUPPORTED,
  c3_latency: ACPI_C3_UNSUPPORTED,
  boot_flags: ACPI_FADT_LEGACY_DEVICES,
  flags: ACPI_FADT_WBINVD | ACPI_FADT_C1_SUPPORTED,
};

export function fadt({ chips }: Board, at: { readonly facs: number; readonly dsdt: number }): Uint8Array {
  const parts = [BOARD, ...chips.map((chip) => chip.fadt ?? {})];
  const { facs, dsdt } = at;
  const full = AcpiFadt.bytes({ facs, dsdt, Xdsdt: BigInt(dsdt), minor_revision: FADT_MINOR_REVISION });
  const view = new DataView(full.buffer);
  for (const part of parts) AcpiFadt.write(view, part);
  AcpiFadt.write(view, {
    boot_flags: parts.reduce((flags, part) => flags | (part.boot_flags ?? 0), 0),
    flags: parts.reduce((flags, part) => flags | (part.flags ?? 0), 0),
  });
  return acpiTable('FACP', FADT_REVISION, full.subarray(AcpiTableHeader.size));
}

/**
 * What a PC's firmware leaves in memory for whatever it starts, whatever the boot protocol: BIOS data area,
 * MP table, ACPI.
 */
import type { GuestMemory } from '../memory/guestMemory.ts';
import { writeAcpiTables } from './acpi.ts';
import { writeBiosData } from './biosData.ts';
import type { Board } from './contribution.ts';
import { writeMpTable } from './mpTable.ts';
import type { TableArea } from './tableArea.ts';

/** Before the image is loaded, which may lie over the BIOS data. Returns the RSDP's address. */
export function writeFirmwareTables(memory: GuestMemory, area: TableArea, board: Board): number {
  writeBiosData(memory, board);
  writeMpTable(memory, area, board);
  return writeAcpiTables(memory, area, board);
}

/**
 * ACPI tables: how an operating system finds its CPUs and interrupt controllers, powers off, and resets. ACPI
 * 6.5 §5.2. The RSDP first, in the BIOS area, where a scan finds it; the other tables behind it.
 */
import { ACPI_FACS_ALIGNMENT, ACPI_RSDP_CHECKSUM_LENGTH, AcpiFacs, AcpiRsdp } from '../abi/acpiTables.ts';
import { type GuestMemory, gpa } from '../memory/guestMemory.ts';
import { ACPI_TABLES, ACPI_TABLES_BYTES } from '../memory/layout.ts';
import { OEM_ID, acpiTable } from './acpiTable.ts';
import { checksum } from './checksum.ts';
import type { Board } from './contribution.ts';
import { dsdt } from './dsdt.ts';
import { fadt } from './fadt.ts';
import { madt } from './madt.ts';
import { mcfg } from './mcfg.ts';
import type { TableArea } from './tableArea.ts';

/** Writes all tables and returns the RSDP's address. */
export function writeAcpiTables(memory: GuestMemory, area: TableArea, board: Board): number {
  const start = area.place(ACPI_TABLES, ACPI_TABLES_BYTES, ACPI_FACS_ALIGNMENT);
  const allocator = { next: start, end: start + ACPI_TABLES_BYTES };
  const rsdpAddress = reserve(allocator, AcpiRsdp.size);
  const facsAddress = place(memory, allocator, facs());
  const dsdtAddress = place(memory, allocator, dsdt(board));
  const tables = [
    place(memory, allocator, fadt(board, { facs: facsAddress, dsdt: dsdtAddress })),
    place(memory, allocator, madt(board)),
    place(memory, allocator, mcfg(board)),
  ];
  const rsdt = place(memory, allocator, acpiTable('RSDT', 1, bytesOf(Uint32Array.from(tables))));
  const xsdt = place(memory, allocator, acpiTable('XSDT', 1, bytesOf(BigUint64Array.from(tables, BigInt))));
  memory.write(gpa(rsdpAddress), rsdp(rsdt, xsdt));
  return rsdpAddress;
}

function rsdp(rsdt: number, xsdt: number): Uint8Array {
  const bytes = AcpiRsdp.bytes({
    signature: 'RSD PTR ',
    oem_id: OEM_ID,
    revision: 2,
    rsdt_physical_address: rsdt,
    length: AcpiRsdp.size,
    xsdt_physical_address: BigInt(xsdt),
  });
  const firstPart = bytes.subarray(0, ACPI_RSDP_CHECKSUM_LENGTH);
  bytes[AcpiRsdp.fields.checksum.offset] = checksum(firstPart);
  bytes[AcpiRsdp.fields.extended_checksum.offset] = checksum(bytes);
  return bytes;
}

/** For sleep states that this machine does not have; the FADT needs it all the same. */
function facs(): Uint8Array {
  return AcpiFacs.bytes({ signature: 'FACS', length: AcpiFacs.size, version: 2 });
}

interface Allocator {
  next: number;
  readonly end: number;
}

/** Hands out the area in units that suit the FACS. */
function reserve(allocator: Allocator, sizeBytes: number): number {
  const address = allocator.next;
  allocator.next += Math.ceil(sizeBytes / ACPI_FACS_ALIGNMENT) * ACPI_FACS_ALIGNMENT;
  if (allocator.next > allocator.end) throw new RangeError('ACPI tables do not fit into their area');
  return address;
}

function place(memory: GuestMemory, allocator: Allocator, bytes: Uint8Array): number {
  const address = reserve(allocator, bytes.length);
  memory.write(gpa(address), bytes);
  return address;
}

function bytesOf(list: Uint32Array | BigUint64Array): Uint8Array {
  return new Uint8Array(list.buffer);
}

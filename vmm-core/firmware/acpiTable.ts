/**
 * The frame that every ACPI table but RSDP and FACS has: its header, with checksum and our names. ACPI 6.5
 * §5.2.6.
 */
import { AcpiTableHeader } from '../abi/acpiTables.ts';
import { concat } from './aml.ts';
import { checksum } from './checksum.ts';

export const OEM_ID = 'TRAPFR';
const OEM_TABLE_ID = 'TRAPFRAM';
const CREATOR_ID = 'TFVM';

/** `body` is what follows the header. */
export function acpiTable(signature: string, revision: number, body: Uint8Array): Uint8Array {
  const header = AcpiTableHeader.bytes({
    signature,
    length: AcpiTableHeader.size + body.length,
    revision,
    oem_id: OEM_ID,
    oem_table_id: OEM_TABLE_ID,
    oem_revision: 1,
    asl_compiler_id: CREATOR_ID,
    asl_compiler_revision: 1,
  });
  const table = concat(header, body);
  table[AcpiTableHeader.fields.checksum.offset] = checksum(table);
  return table;
}

/** Where the configuration space of PCI buses is in memory. PCI Firmware 3.3 §4.1.2. */
import { AcpiMcfg, AcpiMcfgAllocation, AcpiTableHeader } from '../abi/acpiTables.ts';
import { acpiTable } from './acpiTable.ts';
import { concat } from './aml.ts';
import type { Board, Ecam } from './contribution.ts';

const MCFG_REVISION = 1;

export function mcfg({ chips }: Board): Uint8Array {
  const head = AcpiMcfg.bytes({}).subarray(AcpiTableHeader.size);
  return acpiTable(
    'MCFG',
    MCFG_REVISION,
    concat(head, ...chips.flatMap((chip) => chip.ecams ?? []).map(entry)),
  );
}

function entry({ base, firstBus, lastBus }: Ecam): Uint8Array {
  return AcpiMcfgAllocation.bytes({
    address: BigInt(base),
    start_bus_number: firstBus,
    end_bus_number: lastBus,
  });
}

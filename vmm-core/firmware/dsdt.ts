/**
 * The differentiated system description: which devices there are that no bus enumerates, on which ports and
 * interrupts, and how to power off. An operating system that trusts ACPI looks for nothing else: without an
 * entry here, ttyS0 has no interrupt.
 */
import { acpiTable } from './acpiTable.ts';
import { type Aml, concat, eisaId, io, memory32Fixed, scope } from './aml.ts';
import type { Board, FirmwareContribution } from './contribution.ts';
import { pnpDevice } from './pnpDevice.ts';

const DSDT_REVISION = 2; // integers have 64 bits

export function dsdt({ chips }: Board): Uint8Array {
  const rootTerms = chips.flatMap((chip) => chip.rootTerms ?? []);
  const busTerms = chips.flatMap((chip) => chip.busTerms ?? []);
  const body = concat(...rootTerms, scope('\\_SB', ...busTerms, motherboard(chips)));
  return acpiTable('DSDT', DSDT_REVISION, body);
}

/** Motherboard resources: nobody else may claim these. */
function motherboard(chips: readonly FirmwareContribution[]): Aml {
  const ports = chips.flatMap((chip) => chip.motherboardPorts ?? []);
  const memory = chips.flatMap((chip) => chip.motherboardMemory ?? []);
  const claims = [
    ...ports.map(({ port, count }) => io(port, count)),
    ...memory.map(({ base, sizeBytes }) => memory32Fixed(base, sizeBytes)),
  ];
  return pnpDevice('MBRD', eisaId('PNP0C02'), claims);
}

/**
 * What firmware tells of bus 0: its windows, where its configuration space is, and how its interrupt pins are
 * wired (ACPI 6.5 §6.2.13, MultiProcessor Specification §4.3.4).
 */
import { PORT_CONFIG_ADDRESS } from '../../abi/hostBridge.ts';
import { ACPI_MADT_POLARITY_ACTIVE_HIGH, ACPI_MADT_TRIGGER_LEVEL } from '../../abi/acpiTables.ts';
import {
  type Aml,
  amlPackage,
  device,
  dwordMemory,
  eisaId,
  integer,
  io,
  name,
  resourceTemplate,
  wordBusNumbers,
  wordIo,
} from '../../firmware/aml.ts';
import type { FirmwareContribution, PciInterrupt } from '../../firmware/contribution.ts';
import { PCI_ECAM, PCI_ECAM_BYTES } from '../../memory/layout.ts';
import { gsiOfSlot, PCI_GSIS } from './pciInterrupts.ts';
import { PCI_IO_WINDOW, PCI_MEMORY_WINDOW } from './pciWindows.ts';

const INTA = 0;
const CONFIG_PORTS = 8;
/** All slots but the host bridge's. */
const INTERRUPTS: readonly PciInterrupt[] = Array.from({ length: 31 }, (_, i) => ({
  device: i + 1,
  pin: INTA,
  gsi: gsiOfSlot(i + 1),
}));

export const PCI_ROOT: FirmwareContribution = {
  busTerms: [rootBridge()],
  ecams: [{ base: PCI_ECAM, firstBus: 0, lastBus: 0 }],
  motherboardMemory: [{ base: PCI_ECAM, sizeBytes: PCI_ECAM_BYTES }],
  pciInterrupts: INTERRUPTS,
  interruptOverrides: PCI_GSIS.map((gsi) => ({
    irq: gsi,
    gsi,
    flags: ACPI_MADT_POLARITY_ACTIVE_HIGH | ACPI_MADT_TRIGGER_LEVEL,
  })),
};

/** The mainboard's ports are behind the bridge, too; BARs go where it has no others. */
function rootBridge(): Aml {
  return device(
    'PCI0',
    name('_HID', eisaId('PNP0A03')),
    name('_UID', integer(0)),
    name(
      '_CRS',
      resourceTemplate(
        wordBusNumbers(0, 0),
        io(PORT_CONFIG_ADDRESS, CONFIG_PORTS),
        wordIo(0, PORT_CONFIG_ADDRESS - 1),
        wordIo(PCI_IO_WINDOW.base, PCI_IO_WINDOW.end - 1),
        dwordMemory(PCI_MEMORY_WINDOW.base, PCI_MEMORY_WINDOW.end - 1),
      ),
    ),
    name('_PRT', amlPackage(...INTERRUPTS.map(route))),
  );
}

/** §6.2.13: any function of the device, its pin, and the interrupt by its number. */
function route({ device: number, pin, gsi }: PciInterrupt): Aml {
  const anyFunction = number * 2 ** 16 + 0xffff;
  return amlPackage(integer(anyFunction), integer(pin), integer(0), integer(gsi));
}

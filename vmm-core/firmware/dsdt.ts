/**
 * The differentiated system description: which legacy devices there are, on which ports and interrupts, and how to power off.
 * An operating system that trusts ACPI looks for nothing else: without an entry here, ttyS0 has no interrupt.
 */
import { PORT_ACPI_PM, SLP_TYP_S5 } from '../abi/acpiPm.ts';
import { PORT_I8042_COMMAND, PORT_I8042_DATA } from '../abi/i8042.ts';
import { PORT_PVPANIC } from '../abi/pvpanic.ts';
import { IRQ_RTC, PORT_CMOS_INDEX } from '../abi/rtcCmos.ts';
import { COM_RESOURCES } from '../abi/uart16550.ts';
import {
  type Aml,
  amlPackage,
  device,
  eisaId,
  integer,
  io,
  irqNoFlags,
  name,
  resourceTemplate,
  scope,
  string,
} from './aml.ts';

// PC/AT chips that are part of KVM and have no constants elsewhere.
const PORT_PIC1 = 0x20;
const PORT_PIC2 = 0xa0;
const PORT_PIC_ELCR = 0x4d0;
const IRQ_PIC_CASCADE = 2;
const PORT_PIT = 0x40;
const IRQ_PIT = 0;
const IRQ_KEYBOARD = 1;
const PORT_RESET = 0xcf9;

const UART_PORTS = 8;
const ACPI_PM_PORTS = 12; // event, control and timer blocks

// §6.3.7: present, enabled, shown, functioning.
const STA_WORKING = 0x0f;

/** The AML of the whole table, without its header. `devices` are further terms of \_SB (virtio-mmio devices). */
export function dsdtTerms(devices: readonly Aml[] = []): readonly Aml[] {
  return [powerOffState(), scope('\\_SB', ...legacyDevices(), ...devices)];
}

/** \_S5 (§7.4.2): what to write as SLP_TYPa and SLP_TYPb. */
function powerOffState(): Aml {
  return name('\\_S5', amlPackage(integer(SLP_TYP_S5), integer(SLP_TYP_S5), integer(0), integer(0)));
}

function legacyDevices(): Aml[] {
  const uarts = COM_RESOURCES.map(({ port, irq }, index) =>
    pnpDevice(`COM${index + 1}`, eisaId('PNP0501'), [io(port, UART_PORTS), irqNoFlags(irq)], index + 1),
  );
  return [
    pnpDevice('PIC', eisaId('PNP0000'), [
      io(PORT_PIC1, 2),
      io(PORT_PIC2, 2),
      io(PORT_PIC_ELCR, 2),
      irqNoFlags(IRQ_PIC_CASCADE),
    ]),
    pnpDevice('TIMR', eisaId('PNP0100'), [io(PORT_PIT, 4), irqNoFlags(IRQ_PIT)]),
    pnpDevice('RTC', eisaId('PNP0B00'), [io(PORT_CMOS_INDEX, 2), irqNoFlags(IRQ_RTC)]),
    pnpDevice('KBD', eisaId('PNP0303'), [
      io(PORT_I8042_DATA, 1),
      io(PORT_I8042_COMMAND, 1),
      irqNoFlags(IRQ_KEYBOARD),
    ]),
    ...uarts,
    pnpDevice('PVPN', string('QEMU0001'), [io(PORT_PVPANIC, 1)]),
    // Motherboard resources: nobody else may claim these ports.
    pnpDevice('MBRD', eisaId('PNP0C02'), [io(PORT_ACPI_PM, ACPI_PM_PORTS), io(PORT_RESET, 1)]),
  ];
}

function pnpDevice(deviceName: string, hid: Aml, resources: readonly Aml[], uid?: number): Aml {
  return device(
    deviceName,
    name('_HID', hid),
    ...(uid === undefined ? [] : [name('_UID', integer(uid))]),
    name('_STA', integer(STA_WORKING)),
    name('_CRS', resourceTemplate(...resources)),
  );
}

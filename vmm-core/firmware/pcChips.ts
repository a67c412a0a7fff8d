/** What each chip of this PC contributes to the firmware's tables, in the order of the DSDT. */
import {
  ACPI_FADT_32BIT_TIMER,
  ACPI_FADT_8042,
  ACPI_FADT_FIXED_RTC,
  ACPI_FADT_NO_VGA,
  ACPI_FADT_RESET_REGISTER,
  ACPI_FADT_SLEEP_BUTTON,
  ACPI_MADT_PCAT_COMPAT,
  ACPI_MADT_POLARITY_ACTIVE_HIGH,
  ACPI_MADT_TRIGGER_LEVEL,
} from '../abi/acpiTables.ts';
import {
  ACPI_PM1_CONTROL,
  ACPI_PM_BYTES,
  ACPI_PM_TIMER,
  IRQ_ACPI_SCI,
  PORT_ACPI_PM,
  SLP_TYP_S5,
} from '../abi/acpiPm.ts';
import { EQUIPMENT_80_COLUMNS_COLOUR, VIDEO_MODE_80_BY_25 } from '../abi/biosData.ts';
import { PORT_CRTC_INDEX } from '../abi/crtc.ts';
import { IRQ_KEYBOARD, PORT_I8042_COMMAND, PORT_I8042_DATA } from '../abi/i8042.ts';
import { IRQ_PIC_CASCADE, PORT_PIC_ELCR, PORT_PIC_MASTER, PORT_PIC_SLAVE } from '../abi/pic.ts';
import { IRQ_PIT, PORT_PIT } from '../abi/pit.ts';
import { PORT_PVPANIC } from '../abi/pvpanic.ts';
import { PORT_RESET_CONTROL, RESET_CONTROL_RESET } from '../abi/resetControl.ts';
import { CMOS_CENTURY, IRQ_RTC, PORT_CMOS_INDEX } from '../abi/rtcCmos.ts';
import { COM_RESOURCES, UART_PORTS } from '../abi/uart16550.ts';
import { IOAPIC_BASE } from '../memory/layout.ts';
import { amlPackage, eisaId, integer, io, irqNoFlags, name, string } from './aml.ts';
import type { FirmwareContribution } from './contribution.ts';
import { ioSpace } from './genericAddress.ts';
import { pnpDevice } from './pnpDevice.ts';

/** The second 8259's output is the first one's input 2, which the ISA bus does not have. */
const PIC: FirmwareContribution = {
  busTerms: [
    pnpDevice('PIC', eisaId('PNP0000'), [
      io(PORT_PIC_MASTER, 2),
      io(PORT_PIC_SLAVE, 2),
      io(PORT_PIC_ELCR, 2),
      irqNoFlags(IRQ_PIC_CASCADE),
    ]),
  ],
  madtFlags: ACPI_MADT_PCAT_COMPAT,
  isaIrqs: Array.from({ length: 16 }, (_, irq) => irq).filter((irq) => irq !== IRQ_PIC_CASCADE),
};

/** Its register says id 0 after reset. xv6 compares the two. */
const IOAPIC: FirmwareContribution = {
  ioApics: [{ id: 0, version: 0x11, address: IOAPIC_BASE, gsiBase: 0 }],
};

/**
 * KVM's default routing has IRQ 0 on IOAPIC input 0, unlike a real PC and QEMU, which use input 2: hence no
 * override.
 */
const PIT: FirmwareContribution = {
  busTerms: [pnpDevice('TIMR', eisaId('PNP0100'), [io(PORT_PIT, 4), irqNoFlags(IRQ_PIT)])],
};

const RTC: FirmwareContribution = {
  busTerms: [pnpDevice('RTC', eisaId('PNP0B00'), [io(PORT_CMOS_INDEX, 2), irqNoFlags(IRQ_RTC)])],
  fadt: { century: CMOS_CENTURY },
};

const I8042: FirmwareContribution = {
  busTerms: [
    pnpDevice('KBD', eisaId('PNP0303'), [
      io(PORT_I8042_DATA, 1),
      io(PORT_I8042_COMMAND, 1),
      irqNoFlags(IRQ_KEYBOARD),
    ]),
  ],
  fadt: { boot_flags: ACPI_FADT_8042 },
};

const UARTS: readonly FirmwareContribution[] = COM_RESOURCES.map(({ port, irq }, index) => ({
  busTerms: [
    pnpDevice(`COM${index + 1}`, eisaId('PNP0501'), [io(port, UART_PORTS), irqNoFlags(irq)], index + 1),
  ],
  comPort: port,
}));

const PVPANIC: FirmwareContribution = {
  busTerms: [pnpDevice('PVPN', string('QEMU0001'), [io(PORT_PVPANIC, 1)])],
};

/** \_S5 (§7.4.2): what to write as SLP_TYPa and SLP_TYPb to power off. */
const ACPI_PM: FirmwareContribution = {
  rootTerms: [name('\\_S5', amlPackage(integer(SLP_TYP_S5), integer(SLP_TYP_S5), integer(0), integer(0)))],
  motherboardPorts: [{ port: PORT_ACPI_PM, count: ACPI_PM_BYTES }],
  fadt: {
    sci_interrupt: IRQ_ACPI_SCI,
    pm1a_event_block: PORT_ACPI_PM,
    pm1_event_length: 4,
    xpm1a_event_block: ioSpace(32, 16),
    xpm1a_event_block_address: BigInt(PORT_ACPI_PM),
    pm1a_control_block: PORT_ACPI_PM + ACPI_PM1_CONTROL,
    pm1_control_length: 2,
    xpm1a_control_block: ioSpace(16, 16),
    xpm1a_control_block_address: BigInt(PORT_ACPI_PM + ACPI_PM1_CONTROL),
    pm_timer_block: PORT_ACPI_PM + ACPI_PM_TIMER,
    pm_timer_length: 4,
    xpm_timer_block: ioSpace(32, 32),
    xpm_timer_block_address: BigInt(PORT_ACPI_PM + ACPI_PM_TIMER),
    flags: ACPI_FADT_SLEEP_BUTTON | ACPI_FADT_FIXED_RTC | ACPI_FADT_32BIT_TIMER,
  },
  interruptOverrides: [
    { irq: IRQ_ACPI_SCI, gsi: IRQ_ACPI_SCI, flags: ACPI_MADT_POLARITY_ACTIVE_HIGH | ACPI_MADT_TRIGGER_LEVEL },
  ],
};

const RESET_CONTROL: FirmwareContribution = {
  motherboardPorts: [{ port: PORT_RESET_CONTROL, count: 1 }],
  fadt: {
    reset_register: ioSpace(8, 8),
    reset_register_address: BigInt(PORT_RESET_CONTROL),
    reset_value: RESET_CONTROL_RESET,
    flags: ACPI_FADT_RESET_REGISTER,
  },
};

/** Text mode 3, with a cursor; there is no VGA to be looked for. */
const CRTC: FirmwareContribution = {
  fadt: { boot_flags: ACPI_FADT_NO_VGA },
  biosData: {
    equipment: EQUIPMENT_80_COLUMNS_COLOUR,
    video_mode: VIDEO_MODE_80_BY_25,
    video_columns: 80,
    video_page_bytes: 0x1000,
    cursor_shape: 0x0607,
    crtc_port: PORT_CRTC_INDEX,
    video_last_row: 24,
    character_height: 16,
  },
};

export const PC_CHIPS: readonly FirmwareContribution[] = [
  PIC,
  IOAPIC,
  PIT,
  RTC,
  I8042,
  ...UARTS,
  PVPANIC,
  ACPI_PM,
  RESET_CONTROL,
  CRTC,
];

/** Port I/O map of the machine (PC/AT). A device's register offsets are in its own table; these are the bases. */
export const PORT_I8042_DATA = 0x60; // with PORT_I8042_COMMAND
export const PORT_I8042_COMMAND = 0x64;
export const PORT_CMOS_INDEX = 0x70; // and data at 0x71
export const PORT_DEBUGCON = 0xe9;
export const PORT_ISA_DEBUG_EXIT = 0xf4; // opt-in, 4 ports as in QEMU's -device isa-debug-exit,iobase=0xf4,iosize=0x04
export const PORT_CRTC_INDEX = 0x3d4; // and data at 0x3d5
export const PORT_VGA_INPUT_STATUS_1 = 0x3da;
export const PORT_FIRMWARE_DEBUG = 0x402; // SeaBIOS and OVMF log here
export const PORT_PVPANIC = 0x505;
export const PORT_FW_CFG_SELECTOR = 0x510; // 16 bit; data at 0x511
export const PORT_ACPI_PM1_EVENT = 0x600; // PM1a_STS (16 bit), PM1a_EN (16 bit)
export const PORT_ACPI_PM1_CONTROL = 0x604; // PM1a_CNT (16 bit)
export const PORT_ACPI_PM_TIMER = 0x608; // 32 bit, 3.579545 MHz
export const PORT_RESET_CONTROL = 0xcf9; // the FADT's RESET_REG; writing RESET_CONTROL_RESET resets
export const RESET_CONTROL_RESET = 0x06;

/** COM1..COM4: base port and ISA interrupt. */
export const COM_RESOURCES = [
  { port: 0x3f8, irq: 4 },
  { port: 0x2f8, irq: 3 },
  { port: 0x3e8, irq: 4 },
  { port: 0x2e8, irq: 3 },
] as const;

export const IRQ_RTC = 8;
export const IRQ_ACPI_SCI = 9; // level, active high (MADT interrupt source override)

/** SLP_TYPa of \_S5, written with SLP_EN to PM1a_CNT to power off. */
export const SLP_TYP_S5 = 5;

/** ACPI fixed hardware. ACPI 6.5 §4.8.3; names as in ACPICA's acconfig.h/actypes.h. */

/** Where this machine has it; the FADT tells the guest. */
export const PORT_ACPI_PM = 0x600;
export const IRQ_ACPI_SCI = 9; // level, active high

// Offsets from PORT_ACPI_PM.
export const ACPI_PM_BYTES = 12;
export const ACPI_PM1_STATUS = 0; // RW1C 16 bit, PM1a_EVT_BLK
export const ACPI_PM1_ENABLE = 2; // RW   16 bit
export const ACPI_PM1_CONTROL = 4; // RW   16 bit, PM1a_CNT_BLK
export const ACPI_PM_TIMER = 8; // R    32 bit, PM_TMR_BLK
export const ACPI_PM_TIMER_FREQUENCY = 3_579_545; // Hz

export const ACPI_BITMASK_TIMER_STATUS = 1 << 0; // TMR_STS
export const ACPI_BITMASK_BUS_MASTER_STATUS = 1 << 4; // BM_STS
export const ACPI_BITMASK_GLOBAL_LOCK_STATUS = 1 << 5; // GBL_STS
export const ACPI_BITMASK_POWER_BUTTON_STATUS = 1 << 8; // PWRBTN_STS
export const ACPI_BITMASK_SLEEP_BUTTON_STATUS = 1 << 9; // SLPBTN_STS
export const ACPI_BITMASK_RT_CLOCK_STATUS = 1 << 10; // RTC_STS
export const ACPI_BITMASK_WAKE_STATUS = 1 << 15; // WAK_STS

export const ACPI_BITMASK_TIMER_ENABLE = 1 << 0; // TMR_EN
export const ACPI_BITMASK_GLOBAL_LOCK_ENABLE = 1 << 5; // GBL_EN
export const ACPI_BITMASK_POWER_BUTTON_ENABLE = 1 << 8; // PWRBTN_EN
export const ACPI_BITMASK_SLEEP_BUTTON_ENABLE = 1 << 9; // SLPBTN_EN
export const ACPI_BITMASK_RT_CLOCK_ENABLE = 1 << 10; // RTC_EN

export const ACPI_BITMASK_SCI_ENABLE = 1 << 0; // SCI_EN
export const ACPI_BITMASK_BUS_MASTER_RLD = 1 << 1; // BM_RLD
export const ACPI_BITMASK_GLOBAL_LOCK_RELEASE = 1 << 2; // GBL_RLS, write-only
export const ACPI_SLEEP_TYPE_SHIFT = 10; // SLP_TYPx
export const ACPI_BITMASK_SLEEP_TYPE = 0x1c00;
export const ACPI_BITMASK_SLEEP_ENABLE = 1 << 13; // SLP_EN, write-only

/** As the function of Intel's PIIX4 that has it: datasheet 290562, §7.2. */
export const ACPI_PM_IDS = { vendorId: 0x8086, deviceId: 0x7113, revisionId: 0x03, classCode: 0x06_8000 };
export const PMBA = 0x40; // 32 bit, of PORT_ACPI_PM, bit 0: of ports
export const PMREGMISC = 0x80; // 8 bit
export const PMREGMISC_PMIOSE = 1 << 0; // its ports are decoded

/** SLP_TYPa of \_S5, written with SLP_EN to PM1a_CNT to power off: the machine's own choice. */
export const SLP_TYP_S5 = 5;

/**
 * MC146818 real-time clock and the PC's use of its RAM. Register and bit names as in the MC146818A datasheet
 * (Table 5 ff.) and Linux's mc146818rtc.h; the CMOS bytes as SeaBIOS and QEMU agree on them.
 */

export const PORT_CMOS_INDEX = 0x70; // and data at 0x71
export const IRQ_RTC = 8;

// Offsets from PORT_CMOS_INDEX.
export const RTC_INDEX = 0; // W   bits 0-6 the register, bit 7 gates NMI (ignored)
export const RTC_DATA = 1; // RW
export const RTC_PORTS = 2;
export const RTC_INDEX_MASK = 0x7f;
export const RTC_BYTES = 128;

export const RTC_SECONDS = 0; // RW  0-59
export const RTC_SECONDS_ALARM = 1; // RW
export const RTC_MINUTES = 2; // RW  0-59
export const RTC_MINUTES_ALARM = 3; // RW
export const RTC_HOURS = 4; // RW  0-23, or 1-12 with bit 7 for PM
export const RTC_HOURS_ALARM = 5; // RW
export const RTC_DAY_OF_WEEK = 6; // RW  1-7, Sunday is 1
export const RTC_DAY_OF_MONTH = 7; // RW  1-31
export const RTC_MONTH = 8; // RW  1-12
export const RTC_YEAR = 9; // RW  0-99
export const RTC_HOURS_PM = 1 << 7;
export const RTC_ALARM_DONT_CARE = 0xc0; // an alarm byte with both bits set matches everything

export const RTC_REG_A = 10; // RW  (UIP read-only)
export const RTC_UIP = 1 << 7; // update in progress
export const RTC_DIV_CTL = 0x70; // mask: divider control
export const RTC_REF_CLCK_32KHZ = 0x20; // the divider runs
export const RTC_DIV_RESET1 = 0x60; // the divider is held in reset ...
// ... so time stands still; the first update comes 500 ms after the release
export const RTC_DIV_RESET2 = 0x70;
export const RTC_RATE_SELECT = 0x0f; // mask: periodic rate, 32768 >> (RS - 1) Hz
export const RTC_RATE_1024HZ = 0x06; // what firmware leaves behind

export const RTC_REG_B = 11; // RW
export const RTC_SET = 1 << 7; // updates are halted while the guest sets the time
export const RTC_PIE = 1 << 6; // periodic interrupt enable
export const RTC_AIE = 1 << 5; // alarm interrupt enable
export const RTC_UIE = 1 << 4; // update-ended interrupt enable
export const RTC_SQWE = 1 << 3; // square wave enable (the pin goes nowhere)
export const RTC_DM_BINARY = 1 << 2; // all time and alarm bytes are binary, otherwise BCD
export const RTC_24H = 1 << 1; // hours 0-23
export const RTC_DST_EN = 1 << 0; // daylight saving (not modelled: the clock is UTC)

export const RTC_REG_C = 12; // R   reading clears it
export const RTC_IRQF = 1 << 7; // any of the below whose enable is set
export const RTC_PF = 1 << 6; // a periodic tick has passed
export const RTC_AF = 1 << 5; // the alarm has matched
export const RTC_UF = 1 << 4; // an update has ended

export const RTC_REG_D = 13; // R
export const RTC_VRT = 1 << 7; // RAM and time are valid: the battery is good

export const CMOS_SHUTDOWN_STATUS = 0x0f; // RW  how the BIOS continues after a reset
export const CMOS_EQUIPMENT = 0x14;
export const CMOS_EQUIPMENT_FPU = 1 << 1;
export const CMOS_BASE_MEMORY_KIB = 0x15; // 16 bit
export const CMOS_EXTENDED_MEMORY_KIB = 0x17; // 16 bit: above 1 MiB, at most 65535
export const CMOS_CHECKSUM_FIRST = 0x10; // the checksum covers 0x10-0x2d
export const CMOS_CHECKSUM_LAST = 0x2d;
export const CMOS_CHECKSUM_HIGH = 0x2e; // 16 bit, high byte first
export const CMOS_CHECKSUM_LOW = 0x2f;
export const CMOS_EXTENDED_MEMORY_POST_KIB = 0x30; // 16 bit: as 0x17, found by POST
export const CMOS_CENTURY = 0x32; // RW  BCD; the FADT's CENTURY names it
export const CMOS_MEMORY_ABOVE_16M = 0x34; // 16 bit, units of 64 KiB: 16 MiB to 4 GiB
export const CMOS_CENTURY_PS2 = 0x37; // RW  the same register's place in a PS/2
export const CMOS_MEMORY_ABOVE_4G = 0x5b; // 24 bit, units of 64 KiB
export const CMOS_SMP_COUNT = 0x5f; // processors besides the first (SeaBIOS waits for that many)

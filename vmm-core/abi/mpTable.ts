/** The MP table's structures, Intel MultiProcessor Specification 1.4; names as in Linux's mpspec_def.h. */
import { chars, struct, u16, u32, u8 } from './struct.ts';

export const MPC_SPECIFICATION_1_4 = 4;

// §4.1
export const MpFloatingPointer = struct('mpf_intel', 16, {
  signature: chars(0, 4),
  physptr: u32(4),
  length: u8(8), // in 16-byte units
  specification: u8(9),
  checksum: u8(10),
  feature1: u8(11), // 0: there is a configuration table
  feature2: u8(12), // bit 7: IMCR present; there is none, the PIC is wired to LINT0 (virtual wire mode)
});

// §4.2
export const MpConfigTable = struct('mpc_table', 44, {
  signature: chars(0, 4),
  length: u16(4),
  specification: u8(6),
  checksum: u8(7),
  oem: chars(8, 8),
  productid: chars(16, 12),
  oemcount: u16(34), // of entries
  lapic: u32(36),
});

// Entry types, table 4-3.
export const MP_PROCESSOR = 0;
export const MP_BUS = 1;
export const MP_IOAPIC = 2;
export const MP_INTSRC = 3;
export const MP_LINTSRC = 4;

// §4.3.1
export const MpProcessor = struct('mpc_cpu', 20, {
  type: u8(0),
  apicid: u8(1),
  apicver: u8(2),
  cpuflag: u8(3),
  cpufeature: u32(4),
  featureflag: u32(8),
});
export const CPU_ENABLED = 1 << 0;
export const CPU_BOOTPROCESSOR = 1 << 1;

// §4.3.2
export const MpBus = struct('mpc_bus', 8, { type: u8(0), busid: u8(1), bustype: chars(2, 6) });

// §4.3.3
export const MpIoApic = struct('mpc_ioapic', 8, {
  type: u8(0),
  apicid: u8(1),
  apicver: u8(2),
  flags: u8(3),
  apicaddr: u32(4),
});
export const MPC_APIC_USABLE = 1 << 0;

// §4.3.4
export const MpInterruptSource = struct('mpc_intsrc', 8, {
  type: u8(0),
  irqtype: u8(1),
  irqflag: u16(2), // table 4-11
  srcbus: u8(4),
  srcbusirq: u8(5),
  dstapic: u8(6),
  dstirq: u8(7),
});

// §4.3.5
export const MpLocalInterruptSource = struct('mpc_lintsrc', 8, {
  type: u8(0),
  irqtype: u8(1),
  irqflag: u16(2),
  srcbusid: u8(4),
  srcbusirq: u8(5),
  destapic: u8(6),
  destapiclint: u8(7),
});
export const MP_APIC_ALL = 0xff;

// Interrupt types, table 4-10.
export const mp_INT = 0;
export const mp_NMI = 1;
export const mp_ExtINT = 3;

/**
 * The local APIC's register page as KVM_GET_LAPIC returns it. SDM 3A §11.4.1, table 11-1: each register
 * takes 16 bytes, of which the first 4 are used. Values only.
 */
import { struct, u32 } from './struct.ts';

/** Where every CPU finds its own. */
export const LAPIC_BASE = 0xfee0_0000;
export const LAPIC_BYTES = 0x1000;
export const LAPIC_VERSION = 0x14; // of KVM's, as their version register says

export const LocalApicPage = struct('local APIC', 1024, {
  id: u32(0x20),
  version: u32(0x30),
  tpr: u32(0x80), // task priority
  apr: u32(0x90),
  ppr: u32(0xa0), // processor priority
  ldr: u32(0xd0), // logical destination
  dfr: u32(0xe0),
  svr: u32(0xf0), // spurious interrupt vector
  isr0: u32(0x100), // in service, vectors 0 to 31
  isr1: u32(0x110),
  isr2: u32(0x120),
  isr3: u32(0x130),
  isr4: u32(0x140),
  isr5: u32(0x150),
  isr6: u32(0x160),
  isr7: u32(0x170),
  tmr0: u32(0x180), // trigger mode
  tmr1: u32(0x190),
  tmr2: u32(0x1a0),
  tmr3: u32(0x1b0),
  tmr4: u32(0x1c0),
  tmr5: u32(0x1d0),
  tmr6: u32(0x1e0),
  tmr7: u32(0x1f0),
  irr0: u32(0x200), // requested
  irr1: u32(0x210),
  irr2: u32(0x220),
  irr3: u32(0x230),
  irr4: u32(0x240),
  irr5: u32(0x250),
  irr6: u32(0x260),
  irr7: u32(0x270),
  esr: u32(0x280), // error status
  lvt_cmci: u32(0x2f0),
  icr_low: u32(0x300),
  icr_high: u32(0x310),
  lvt_timer: u32(0x320),
  lvt_thermal: u32(0x330),
  lvt_pmc: u32(0x340),
  lvt_lint0: u32(0x350),
  lvt_lint1: u32(0x360),
  lvt_error: u32(0x370),
  timer_initial: u32(0x380),
  timer_current: u32(0x390),
  timer_divide: u32(0x3e0),
});

// Delivery modes of a local vector table entry, SDM 3A §11.5.1.
export const APIC_MODE_NMI = 4 << 8;
export const APIC_MODE_EXTINT = 7 << 8;

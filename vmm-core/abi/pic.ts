/** The two 8259A interrupt controllers of a PC/AT, in KVM (arch/x86/kvm/i8259.c). */
export const PORT_PIC_MASTER = 0x20;
export const PORT_PIC_SLAVE = 0xa0;
export const PIC_PORTS = 2; // of each
export const PORT_PIC_ELCR = 0x4d0; // edge/level control, one port of each
export const ELCR_PORTS = 2;

/** The slave's output; no device can have it. */
export const IRQ_PIC_CASCADE = 2;

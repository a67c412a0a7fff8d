/** The I/O APIC of a PC (Intel 82093AA), in KVM (arch/x86/kvm/ioapic.c). */
export const IOAPIC_BASE = 0xfec0_0000;
export const IOAPIC_BYTES = 0x1000;
export const IOAPIC_VERSION = 0x11;
/** The register says so after reset. xv6 compares it with the tables. */
export const IOAPIC_ID = 0;

/** The 8254 interval timer of a PC/AT, in KVM (arch/x86/kvm/i8254.c). */
export const PORT_PIT = 0x40;
export const PIT_PORTS = 4; // three counters and the control word
export const PORT_SPEAKER = 0x61; // gate and output of counter 2 (KVM_PIT_SPEAKER_DUMMY)
export const IRQ_PIT = 0;

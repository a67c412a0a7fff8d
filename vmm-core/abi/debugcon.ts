/** Debug console ports, which print what is written to them. */
export const PORT_DEBUGCON = 0xe9; // Bochs, and QEMU's isa-debugcon
export const PORT_FIRMWARE_DEBUG = 0x402; // SeaBIOS and OVMF log here

export const DEBUGCON_READBACK = 0xe9; // R   at either port: somebody listens

/**
 * QEMU's isa-debug-exit, as -device isa-debug-exit,iobase=0xf4,iosize=0x04 places it (hw/misc/debugexit.c).
 */
export const PORT_ISA_DEBUG_EXIT = 0xf4; // W   ends the VM with the exit code (value << 1) | 1
export const ISA_DEBUG_EXIT_PORTS = 4;

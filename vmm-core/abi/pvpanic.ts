/** pvpanic (QEMU docs/specs/pvpanic.rst): one register at a port. */
export const PORT_PVPANIC = 0x505; // RW  read: the events that are understood; write: one that happened

export const PVPANIC_PANICKED = 1 << 0;
export const PVPANIC_CRASH_LOADED = 1 << 1; // panicked, but a crash kernel takes over: let it run

/** The reset control register (PIIX3 and ICH RST_CNT). */
export const PORT_RESET_CONTROL = 0xcf9; // RW  8 bit

export const SYS_RST = 1 << 1; // 1: the reset asked for by RST_CPU is a hard one
export const RST_CPU = 1 << 2; // 0 to 1: resets
export const FULL_RST = 1 << 3; // 1: with a power cycle

/** The FADT's RESET_VALUE. */
export const RESET_CONTROL_RESET = SYS_RST | RST_CPU;

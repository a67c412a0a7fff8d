/**
 * i8042 keyboard controller and the keyboard behind it. Names as in Linux's i8042.h and atkbd.c; IBM PS/2
 * Technical Reference.
 */

export const PORT_I8042_DATA = 0x60;
export const PORT_I8042_COMMAND = 0x64;
export const IRQ_KEYBOARD = 1;

// Offsets from PORT_I8042_DATA.
export const I8042_DATA = 0; // RW
export const I8042_STATUS = 4; // R   at PORT_I8042_COMMAND
export const I8042_COMMAND = 4; // W   at PORT_I8042_COMMAND

export const I8042_STR_OBF = 1 << 0; // output buffer full: port 0x60 has a byte
export const I8042_STR_IBF = 1 << 1; // input buffer full: never, we take bytes at once
export const I8042_STR_SYS = 1 << 2; // the controller has passed its self test
export const I8042_STR_CMDDAT = 1 << 3; // the last write was a command
export const I8042_STR_KEYLOCK = 1 << 4; // 1: the keyboard is not locked
export const I8042_STR_AUXDATA = 1 << 5; // the byte at 0x60 is the mouse's

export const I8042_CTR_KBDINT = 1 << 0; // IRQ 1 on output
export const I8042_CTR_AUXINT = 1 << 1; // IRQ 12 on mouse output
export const I8042_CTR_SYS = 1 << 2; // shows as STR_SYS
export const I8042_CTR_KBDDIS = 1 << 4; // keyboard clock held: it cannot send
export const I8042_CTR_AUXDIS = 1 << 5;
export const I8042_CTR_XLATE = 1 << 6; // scan codes are translated from set 2 to set 1

// Commands to port 0x64. "-> n": answers n bytes; "<- n": takes n bytes at port 0x60.
export const I8042_CMD_READ_RAM = 0x20; // -> 1  0x20-0x3f; 0x20 itself is the command byte (CTR)
export const I8042_CMD_WRITE_RAM = 0x60; // <- 1  0x60-0x7f
export const I8042_CMD_AUX_DISABLE = 0xa7;
export const I8042_CMD_AUX_ENABLE = 0xa8;
export const I8042_CMD_AUX_TEST = 0xa9; // -> 1  0 passed
export const I8042_CMD_CTL_TEST = 0xaa; // -> 1
export const I8042_CMD_KBD_TEST = 0xab; // -> 1  0 passed
export const I8042_CMD_KBD_DISABLE = 0xad;
export const I8042_CMD_KBD_ENABLE = 0xae;
export const I8042_CMD_READ_INPUT_PORT = 0xc0; // -> 1
export const I8042_CMD_READ_OUTPUT_PORT = 0xd0; // -> 1
export const I8042_CMD_WRITE_OUTPUT_PORT = 0xd1; // <- 1
export const I8042_CMD_KBD_LOOP = 0xd2; // <- 1 -> 1  as if the keyboard had sent it
export const I8042_CMD_AUX_LOOP = 0xd3; // <- 1 -> 1  as if the mouse had sent it
export const I8042_CMD_AUX_SEND = 0xd4; // <- 1
export const I8042_CMD_A20_DISABLE = 0xdd;
export const I8042_CMD_A20_ENABLE = 0xdf;
export const I8042_CMD_READ_TEST_INPUTS = 0xe0; // -> 1
export const I8042_CMD_PULSE = 0xf0; // 0xf0-0xff: pulses the output port bits that are 0 in the low nibble

export const I8042_RET_CTL_TEST = 0x55; // self test passed
export const I8042_RET_PORT_OK = 0x00; // interface test passed
export const I8042_RET_PORT_DATA_STUCK_HIGH = 0x04; // interface test: nothing connected
export const I8042_INPUT_PORT_UNLOCKED = 1 << 7;
export const I8042_OUTPUT_PORT_RUN = 1 << 0; // 0 resets the processor
export const I8042_OUTPUT_PORT_A20 = 1 << 1;
export const I8042_OUTPUT_PORT_KBD_OBF = 1 << 4;

// Commands to the keyboard (port 0x60). All are acknowledged.
export const KBD_CMD_SETLEDS = 0xed; // <- 1
export const KBD_CMD_ECHO = 0xee; // answers itself
export const KBD_CMD_SSCANSET = 0xf0; // <- 1, 0 asks for the current set
export const KBD_CMD_GETID = 0xf2; // -> 2
export const KBD_CMD_SETREP = 0xf3; // <- 1
export const KBD_CMD_ENABLE = 0xf4;
export const KBD_CMD_RESET_DIS = 0xf5; // defaults, scanning off
export const KBD_CMD_RESET_DEF = 0xf6; // defaults
export const KBD_CMD_SETALL_FIRST = 0xf7; // 0xf7-0xfd: key types of set 3
export const KBD_CMD_SETALL_LAST = 0xfd;
export const KBD_CMD_RESEND = 0xfe; // -> the last byte again
export const KBD_CMD_RESET_BAT = 0xff; // -> 1 self test

export const KBD_RET_ACK = 0xfa;
export const KBD_RET_NAK = 0xfe; // resend: not a command
export const KBD_RET_BAT = 0xaa; // self test passed
export const KBD_RET_ID1 = 0xab; // an MF2 keyboard
export const KBD_RET_ID2 = 0x83;
export const KBD_RET_ID2_TRANSLATED = 0x41; // 0x83 after CTR_XLATE
export const KBD_DEFAULT_SCANSET = 2;

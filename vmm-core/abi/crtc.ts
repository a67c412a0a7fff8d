/**
 * The CRT controller of a VGA in text mode: registers of its index/data pair. IBM PS/2 Video Subsystem, "CRT
 * Controller".
 */
export const PORT_CRTC_INDEX = 0x3d4; // and data at 0x3d5
export const PORT_VGA_INPUT_STATUS_1 = 0x3da;

// Offsets from PORT_CRTC_INDEX.
export const CRTC_INDEX = 0; // RW  which register the data port is
export const CRTC_DATA = 1; // RW
export const CRTC_PORTS = 2;

/** Input Status Register 1, at PORT_VGA_INPUT_STATUS_1. A write goes to the feature control register. */
export const INPUT_STATUS_1 = 6; // R
export const ST01_DISP_ENABLE = 1 << 0; // no picture is drawn: horizontal or vertical retrace
export const ST01_V_RETRACE = 1 << 3;

export const CRTC_START_HIGH = 0x0c; // of the text memory that is shown, in characters
export const CRTC_START_LOW = 0x0d;
export const CRTC_CURSOR_HIGH = 0x0e; // cursor location, in characters
export const CRTC_CURSOR_LOW = 0x0f;
export const CRTC_OVERFLOW = 0x07;
export const CRTC_OVERFLOW_LINE_COMPARE = 1 << 4; // the one bit there that CRTC_V_SYNC_END does not protect
export const CRTC_V_SYNC_END = 0x11;
export const CRTC_PROTECT = 1 << 7; // in CRTC_V_SYNC_END: registers 0 to 7 cannot be written
export const CRTC_REGISTERS = 0x19;

/** Text mode 3, 80 by 25, as a VGA's BIOS sets it: registers 0x00 to 0x18. */
// prettier-ignore
export const CRTC_TEXT_MODE_3 = [
  0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00,
  0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff,
] as const;

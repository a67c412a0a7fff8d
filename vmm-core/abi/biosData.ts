/** The BIOS data area at 0x400. IBM PS/2 and PC BIOS Interface Technical Reference, "BIOS data area". */
import { struct, u16, u8 } from './struct.ts';

export const BiosData = struct('bios_data_area', 0x100, {
  com1: u16(0x00),
  com2: u16(0x02),
  com3: u16(0x04),
  com4: u16(0x06),
  ebda_segment: u16(0x0e),
  equipment: u16(0x10),
  base_memory_kib: u16(0x13),
  keyboard_head: u16(0x1a), // of the ring of keys, offsets from 0x400: empty
  keyboard_tail: u16(0x1c),
  video_mode: u8(0x49),
  video_columns: u16(0x4a),
  video_page_bytes: u16(0x4c),
  cursor_shape: u16(0x60),
  crtc_port: u16(0x63),
  keyboard_start: u16(0x80),
  keyboard_end: u16(0x82),
  video_last_row: u8(0x84),
  character_height: u16(0x85),
});
export const BIOS_DATA_KEYBOARD_RING = 0x1e;
export const BIOS_DATA_KEYBOARD_RING_END = 0x3e;

// The equipment word.
export const EQUIPMENT_FPU = 1 << 1;
export const EQUIPMENT_80_COLUMNS_COLOUR = 2 << 4;
export const EQUIPMENT_SERIAL_PORTS_SHIFT = 9; // bits 9-11: how many

export const VIDEO_MODE_80_BY_25 = 3;

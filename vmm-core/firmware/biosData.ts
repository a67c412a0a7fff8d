/**
 * The real-mode vectors, the BIOS data area (0x400..0x4ff) and the extended one, as a PC's firmware leaves them after its self-test in text mode 3: kernels
 * of the BIOS era, xv6 and Xen look here for the base memory, the extended area and the serial ports. IBM PS/2 and PC BIOS
 * Interface Technical Reference, "BIOS data area". An image that is loaded here overwrites it, as it would on a PC.
 */
import { PORT_CRTC_INDEX } from '../abi/crtc.ts';
import { struct, u16, u8 } from '../abi/struct.ts';
import { COM_RESOURCES } from '../abi/uart16550.ts';
import { type GuestMemory, gpa } from '../memory/guestMemory.ts';
import { BIOS_DATA, CONVENTIONAL_RAM_END, EBDA, EBDA_BYTES, KIB, REAL_MODE_IRET } from '../memory/layout.ts';

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

// The equipment word.
const HAS_FPU = 1 << 1;
const VIDEO_80_COLUMNS_COLOUR = 2 << 4;
const SERIAL_PORTS_SHIFT = 9;

const VECTORS = 256;
const OPCODE_IRET = 0xcf;

const KEYBOARD_RING = 0x1e;
const KEYBOARD_RING_END = 0x3e;
const TEXT_MODE_80_BY_25 = 3;

export function writeBiosData(memory: GuestMemory): void {
  writeVectors(memory);
  const [com1, com2, com3, com4] = COM_RESOURCES;
  memory.write(
    gpa(BIOS_DATA),
    BiosData.bytes({
      com1: com1.port,
      com2: com2.port,
      com3: com3.port,
      com4: com4.port,
      ebda_segment: EBDA >> 4,
      equipment: HAS_FPU | VIDEO_80_COLUMNS_COLOUR | (COM_RESOURCES.length << SERIAL_PORTS_SHIFT),
      base_memory_kib: CONVENTIONAL_RAM_END / KIB,
      keyboard_head: KEYBOARD_RING,
      keyboard_tail: KEYBOARD_RING,
      video_mode: TEXT_MODE_80_BY_25,
      video_columns: 80,
      video_page_bytes: 0x1000,
      cursor_shape: 0x0607,
      crtc_port: PORT_CRTC_INDEX,
      keyboard_start: KEYBOARD_RING,
      keyboard_end: KEYBOARD_RING_END,
      video_last_row: 24,
      character_height: 16,
    }),
  );
  memory.writeU8(gpa(EBDA), EBDA_BYTES / KIB); // its first byte is its size
}

/** Nobody serves an interrupt: each returns at once. Xen goes back to real mode to ask the BIOS, and takes no answer for none. */
function writeVectors(memory: GuestMemory): void {
  const segment = (REAL_MODE_IRET >>> 4) & 0xf000;
  const offset = REAL_MODE_IRET - segment * 16;
  for (let vector = 0; vector < VECTORS; vector++) {
    memory.writeU16(gpa(vector * 4), offset);
    memory.writeU16(gpa(vector * 4 + 2), segment);
  }
  memory.writeU8(gpa(REAL_MODE_IRET), OPCODE_IRET);
}

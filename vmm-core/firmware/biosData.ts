/**
 * The real-mode vectors, the BIOS data area (0x400..0x4ff) and the extended one, as a PC's firmware leaves
 * them after its self-test: kernels of the BIOS era, xv6 and Xen look here for the base memory, the extended
 * area and the serial ports. An image that is loaded here overwrites it, as it would on a PC.
 */
import {
  BIOS_DATA_KEYBOARD_RING,
  BIOS_DATA_KEYBOARD_RING_END,
  BiosData,
  EQUIPMENT_FPU,
  EQUIPMENT_SERIAL_PORTS_SHIFT,
} from '../abi/biosData.ts';
import { type GuestMemory, gpa } from '../memory/guestMemory.ts';
import { BIOS_DATA, CONVENTIONAL_RAM_END, EBDA, EBDA_BYTES, KIB, REAL_MODE_IRET } from '../memory/layout.ts';
import type { BiosDataValues, Board } from './contribution.ts';

const VECTORS = 256;
const OPCODE_IRET = 0xcf;

/** What holds for the board without its chips. */
const BOARD: BiosDataValues = {
  ebda_segment: EBDA >> 4,
  equipment: EQUIPMENT_FPU,
  base_memory_kib: CONVENTIONAL_RAM_END / KIB,
  keyboard_head: BIOS_DATA_KEYBOARD_RING,
  keyboard_tail: BIOS_DATA_KEYBOARD_RING,
  keyboard_start: BIOS_DATA_KEYBOARD_RING,
  keyboard_end: BIOS_DATA_KEYBOARD_RING_END,
};

export function writeBiosData(memory: GuestMemory, { chips }: Board): void {
  writeVectors(memory);
  memory.write(gpa(BIOS_DATA), biosData(chips));
  memory.writeU8(gpa(EBDA), EBDA_BYTES / KIB); // its first byte is its size
}

function biosData(chips: Board['chips']): Uint8Array {
  const parts = [BOARD, comPorts(chips), ...chips.map((chip) => chip.biosData ?? {})];
  const area = new Uint8Array(BiosData.size);
  const view = new DataView(area.buffer);
  for (const part of parts) BiosData.write(view, part);
  BiosData.write(view, { equipment: parts.reduce((bits, part) => bits | (part.equipment ?? 0), 0) });
  return area;
}

function comPorts(chips: Board['chips']): BiosDataValues {
  const ports = chips.flatMap((chip) => chip.comPort ?? []);
  const [com1 = 0, com2 = 0, com3 = 0, com4 = 0] = ports;
  return { com1, com2, com3, com4, equipment: ports.length << EQUIPMENT_SERIAL_PORTS_SHIFT };
}

/**
 * Nobody serves an interrupt: each returns at once. Xen goes back to real mode to ask the BIOS, and takes no
 * answer for none.
 */
function writeVectors(memory: GuestMemory): void {
  const segment = (REAL_MODE_IRET >>> 4) & 0xf000;
  const offset = REAL_MODE_IRET - segment * 16;
  for (let vector = 0; vector < VECTORS; vector++) {
    memory.writeU16(gpa(vector * 4), offset);
    memory.writeU16(gpa(vector * 4 + 2), segment);
  }
  memory.writeU8(gpa(REAL_MODE_IRET), OPCODE_IRET);
}

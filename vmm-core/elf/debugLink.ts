/**
 * .gnu_debuglink: the name of the file that holds the debug information stripped from this one, and the CRC
 * of its contents.
 */
import { type ElfFile, findSection, sectionBytes } from './elfFile.ts';
import { ElfReader, cString } from './elfReader.ts';

export interface DebugLink {
  readonly fileName: string;
  readonly crc32: number;
}

export function debugLink(elf: ElfFile): DebugLink | undefined {
  const section = findSection(elf, '.gnu_debuglink');
  if (section === undefined) return undefined;
  const bytes = sectionBytes(elf, section);
  const nameEnd = bytes.indexOf(0);
  const crcOffset = (nameEnd + 4) & ~3; // after the NUL, rounded up to 4
  if (nameEnd <= 0 || crcOffset + 4 > bytes.length) return undefined;
  const at = new ElfReader(bytes, elf.is64, elf.littleEndian, section.offset);
  return { fileName: cString(bytes, 0), crc32: at.u32(crcOffset) };
}

/** The CRC .gnu_debuglink uses (ISO 3309, as zlib's), continued from `previous`. */
export function crc32(bytes: Uint8Array, previous = 0): number {
  let crc = ~previous;
  for (const byte of bytes) crc = (CRC_TABLE[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  return ~crc >>> 0;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

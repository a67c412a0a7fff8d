/** Notes (PT_NOTE segments and SHT_NOTE sections, gABI chapter 5): build-id, the PVH entry point, and whatever else is there. */
import { NT_GNU_BUILD_ID, PT_NOTE, SHT_NOTE } from './elfConstants.ts';
import { type ElfFile, sectionBytes, segmentBytes } from './elfFile.ts';
import { ElfReader, cString } from './elfReader.ts';

export interface ElfNote {
  /** The owner, without its terminating NUL: `GNU`, `Xen`. */
  readonly name: string;
  readonly type: number;
  readonly descriptor: Uint8Array;
  /** Of the note's header in the file. */
  readonly fileOffset: number;
}

/** Every note, segments first, none twice. A note cut short ends its segment's list: what came before it stays usable. */
export function elfNotes(elf: ElfFile): ElfNote[] {
  const notes = new Map<number, ElfNote>();
  for (const segment of elf.programHeaders) {
    if (segment.type !== PT_NOTE) continue;
    collectNotes(elf, segmentBytes(elf, segment), segment.offset, segment.align, notes);
  }
  for (const section of elf.sections) {
    if (section.type !== SHT_NOTE) continue;
    collectNotes(elf, sectionBytes(elf, section), section.offset, section.align, notes);
  }
  return [...notes.values()];
}

/** The linker's identification of this build in lower-case hex, the key of debug files and of our caches. */
export function buildId(elf: ElfFile): string | undefined {
  const note = elfNotes(elf).find(({ name, type }) => name === 'GNU' && type === NT_GNU_BUILD_ID);
  return note && toHex(note.descriptor);
}

function collectNotes(
  elf: ElfFile,
  bytes: Uint8Array,
  fileOffset: number,
  align: number,
  notes: Map<number, ElfNote>,
): void {
  // The gABI asks for 8-byte alignment in ELF64, but only notes in segments aligned to 8 (.note.gnu.property) have it.
  const unit = align === 8 ? 8 : 4;
  const at = new ElfReader(bytes, elf.is64, elf.littleEndian, fileOffset);
  let offset = 0;
  while (offset + 12 <= bytes.length) {
    const nameBytes = at.u32(offset);
    const descriptorBytes = at.u32(offset + 4);
    const nameStart = offset + 12;
    const descriptorStart = roundUp(nameStart + nameBytes, unit);
    if (descriptorStart + descriptorBytes > bytes.length) return;
    notes.set(fileOffset + offset, {
      name: cString(bytes.subarray(nameStart, nameStart + nameBytes), 0),
      type: at.u32(offset + 8),
      descriptor: bytes.subarray(descriptorStart, descriptorStart + descriptorBytes),
      fileOffset: fileOffset + offset,
    });
    offset = roundUp(descriptorStart + descriptorBytes, unit);
  }
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * Notes (PT_NOTE segments and SHT_NOTE sections, gABI chapter 5): build-id, the PVH entry point, and any
 * others.
 */
import { NT_GNU_BUILD_ID, PT_NOTE, SHF_ALLOC, SHT_NOTE } from './elfConstants.ts';
import { type ElfFile, sectionBytes, segmentBytes } from './elfFile.ts';
import { ElfReader, cString } from './elfReader.ts';

export interface ElfNote {
  /** The owner, without its terminating NUL: `GNU`, `Xen`. */
  readonly name: string;
  readonly type: number;
  readonly descriptor: Uint8Array;
  /** Of the note's header in the file. */
  readonly fileOffset: number;
  /** Of the note's header in memory; undefined when it is not loaded. */
  readonly address: bigint | undefined;
}

/**
 * Every note once, segments first. A truncated note ends its segment's list: those before it stay usable.
 */
export function elfNotes(elf: ElfFile): ElfNote[] {
  const notes = new Map<number, ElfNote>();
  for (const segment of elf.programHeaders) {
    if (segment.type !== PT_NOTE) continue;
    const { offset, align } = segment;
    const address = segment.virtualAddress === 0n ? undefined : segment.virtualAddress;
    collectNotes(elf, segmentBytes(elf, segment), { offset, align, address }, notes);
  }
  for (const section of elf.sections) {
    if (section.type !== SHT_NOTE) continue;
    const { offset, align } = section;
    const address = (section.flags & SHF_ALLOC) === 0 ? undefined : section.address;
    collectNotes(elf, sectionBytes(elf, section), { offset, align, address }, notes);
  }
  return [...notes.values()];
}

/** The linker's identification of this build in lower-case hex, the key of debug files and of our caches. */
export function buildId(elf: ElfFile): string | undefined {
  return buildIdNote(elf)?.id;
}

/** The build-id, and where its note is in a loaded program. */
export function buildIdNote(elf: ElfFile): { id: string; address: bigint | undefined } | undefined {
  const note = elfNotes(elf).find(isBuildId);
  return note && { id: toHex(note.descriptor), address: note.address };
}

/** The build-id in memory where its note is expected: undefined when it is not there. Little endian. */
export function buildIdInMemory(bytes: Uint8Array): string | undefined {
  const notes = new Map<number, ElfNote>();
  collectNotes({ is64: true, littleEndian: true }, bytes, { offset: 0, align: 4, address: undefined }, notes);
  const note = notes.get(0);
  return note !== undefined && isBuildId(note) ? toHex(note.descriptor) : undefined;
}

function isBuildId({ name, type }: ElfNote): boolean {
  return name === 'GNU' && type === NT_GNU_BUILD_ID;
}

function collectNotes(
  elf: Pick<ElfFile, 'is64' | 'littleEndian'>,
  bytes: Uint8Array,
  place: { readonly offset: number; readonly align: number; readonly address: bigint | undefined },
  notes: Map<number, ElfNote>,
): void {
  const { offset: fileOffset, align, address } = place;
  // The gABI asks for 8-byte alignment in ELF64, but only notes in segments aligned to 8 (.note.gnu.property)
  // have it.
  const unit = align === 8 ? 8 : 4;
  const at = new ElfReader(bytes, elf.is64, elf.littleEndian, fileOffset);
  let offset = 0;
  while (offset + 12 <= bytes.length) {
    const nameBytes = at.u32(offset);
    const descriptorBytes = at.u32(offset + 4);
    const nameStart = offset + 12;
    const descriptorStart = roundUp(nameStart + nameBytes, unit);
    if (descriptorStart + descriptorBytes > bytes.length) return;
    const noteOffset = fileOffset + offset;
    const note: ElfNote = {
      name: cString(bytes.subarray(nameStart, nameStart + nameBytes), 0),
      type: at.u32(offset + 8),
      descriptor: bytes.subarray(descriptorStart, descriptorStart + descriptorBytes),
      fileOffset: noteOffset,
      address: address === undefined ? undefined : address + BigInt(offset),
    };
    if (!notes.has(noteOffset)) notes.set(noteOffset, note);
    offset = roundUp(descriptorStart + descriptorBytes, unit);
  }
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

/** A build-id, as it is written. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

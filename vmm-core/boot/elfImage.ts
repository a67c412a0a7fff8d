/**
 * What every protocol that boots an ELF shares: is it one for this machine, where do its segments go, where
 * does it start.
 */
import type { ByteSource } from '../elf/byteSource.ts';
import { EM_386, EM_X86_64, ET_CORE, ET_REL, PT_LOAD, PT_NOTE, fileTypeName } from '../elf/elfConstants.ts';
import { ElfError } from '../elf/elfError.ts';
import { type ElfFile, type ProgramHeader, headerBytes, loadSegments, parseProgram } from '../elf/elfFile.ts';
import type { GuestMemory } from '../memory/guestMemory.ts';
import { HOLE_END } from '../memory/layout.ts';
import { badEntry, imageDamaged, imageUnsupported, wrongArchitecture } from './bootError.ts';
import { type ImageRegion, isRam } from './imageRegions.ts';

/** Throws BootError unless the file is a linked x86 program in good order. */
export function openElf(kernel: ByteSource): ElfFile {
  const elf = orDamaged(kernel, () => parseProgram(kernel));
  if (elf.machine !== EM_X86_64 && elf.machine !== EM_386)
    throw wrongArchitecture(kernel.name, elf.machineName);
  if (!elf.littleEndian) throw wrongArchitecture(kernel.name, 'a big-endian machine');
  // A hand-made file may have any type: what can be loaded decides.
  if (
    elf.type === ET_REL ||
    elf.type === ET_CORE ||
    !elf.programHeaders.some(({ type }) => type === PT_LOAD)
  ) {
    throw imageUnsupported(kernel.name, `is not an executable (${fileTypeName(elf.type)})`, 'link it first');
  }
  return elf;
}

/**
 * The PT_LOAD segments at their physical addresses. One that holds nothing but notes and the ELF file's own
 * headers is left out where there is no RAM: linkers put those at 0x08048000 when told where the code goes,
 * and no kernel reads them there.
 */
export function elfRegions(kernel: ByteSource, elf: ElfFile, memory: GuestMemory): ImageRegion[] {
  const segments = orDamaged(kernel, () => loadSegments(elf));
  if (segments.length === 0) throw imageDamaged(kernel.name, 'it has no segments to load');
  const isNeeded = (segment: ProgramHeader) =>
    isRam(memory, Number(segment.physicalAddress), segment.memorySizeBytes) ||
    !isHeadersAndNotes(elf, segment);
  return segments.filter(isNeeded).map(({ physicalAddress, offset, fileSizeBytes, memorySizeBytes }) => ({
    address: Number(physicalAddress),
    fileOffset: offset,
    fileBytes: fileSizeBytes,
    memoryBytes: memorySizeBytes,
  }));
}

/**
 * The program headers follow the ELF header, as every linker writes them. Notes may begin at the next
 * multiple of 8.
 */
function isHeadersAndNotes(elf: ElfFile, { offset, memorySizeBytes }: ProgramHeader): boolean {
  const { file, program } = headerBytes(elf.is64);
  const notes = elf.programHeaders.filter(({ type }) => type === PT_NOTE);
  const parts = [
    { offset: 0, fileSizeBytes: file + program * elf.programHeaders.length },
    ...notes.sort((one, other) => one.offset - other.offset),
  ];
  let at = offset;
  for (const part of parts)
    if (part.offset <= Math.ceil(at / 8) * 8) at = Math.max(at, part.offset + part.fileSizeBytes);
  return at >= offset + memorySizeBytes;
}

/**
 * The physical address to start at. Linux's e_entry is physical; a higher-half kernel's is virtual, and is
 * translated by the segment it lies in, as GRUB does.
 */
export function elfEntry(kernel: ByteSource, elf: ElfFile): bigint {
  const segments = loadSegments(elf);
  const { entry } = elf;
  const isIn = (start: bigint, sizeBytes: number) => entry >= start && entry < start + BigInt(sizeBytes);
  const physical = segments.find((it) => isIn(it.physicalAddress, it.memorySizeBytes));
  const virtual = segments.find((it) => isIn(it.virtualAddress, it.memorySizeBytes));
  if (physical === undefined && virtual === undefined) throw badEntry(kernel.name, entry);
  const start =
    physical === undefined && virtual !== undefined
      ? entry - virtual.virtualAddress + virtual.physicalAddress
      : entry;
  if (start >= BigInt(HOLE_END)) throw badEntry(kernel.name, start);
  return start;
}

/** The reader's errors say what and where; the user also needs to know which file, and what to do. */
export function orDamaged<T>(kernel: ByteSource, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof ElfError) throw imageDamaged(kernel.name, error.message, error);
    throw error;
  }
}

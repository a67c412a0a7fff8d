/**
 * The supplementary file (DWARF 5 §7.3.6) that holds what the debug information of several files has in
 * common: named by .gnu_debugaltlink (dwz -m), or by version 5's .debug_sup.
 */
import { ElfError } from './elfError.ts';
import { type ElfFile, findSection, sectionBytes } from './elfFile.ts';
import { buildId, toHex } from './elfNotes.ts';
import { cString } from './elfReader.ts';

export interface SupplementLink {
  readonly fileName: string;
  /** The build-id, or the checksum of .debug_sup, in lower-case hex. */
  readonly id: string;
}

/** Undefined for a file that needs none. Throws ElfError. */
export function supplementLink(elf: ElfFile): SupplementLink | undefined {
  const section = findSection(elf, '.gnu_debugaltlink');
  if (section !== undefined) {
    const bytes = sectionBytes(elf, section);
    const nameEnd = bytes.indexOf(0);
    if (nameEnd <= 0) throw new ElfError(`section ${section.name} names no file`, section.offset);
    return { fileName: cString(bytes, 0), id: toHex(bytes.subarray(nameEnd + 1)) };
  }
  const sup = debugSup(elf);
  return sup === undefined || sup.isSupplementary ? undefined : { fileName: sup.fileName, id: sup.id };
}

/** What identifies the file that a link refers to. Throws ElfError. */
export function supplementId(elf: ElfFile): string | undefined {
  const sup = debugSup(elf);
  return sup?.isSupplementary === true ? sup.id : buildId(elf);
}

/** version (2), is_supplementary (1), name with its NUL, length (ULEB128) and bytes of the checksum. */
function debugSup(elf: ElfFile): (SupplementLink & { readonly isSupplementary: boolean }) | undefined {
  const section = findSection(elf, '.debug_sup');
  if (section === undefined) return undefined;
  const bytes = sectionBytes(elf, section);
  const nameEnd = bytes.indexOf(0, 3);
  const length = bytes[nameEnd + 1];
  // No checksum is 128 bytes or longer, so the length is one byte.
  if (nameEnd < 0 || length === undefined || length > 0x7f || nameEnd + 2 + length > bytes.length)
    throw new ElfError(`section ${section.name} is cut short`, section.offset);
  return {
    isSupplementary: bytes[2] !== 0,
    fileName: cString(bytes, 3),
    id: toHex(bytes.subarray(nameEnd + 2, nameEnd + 2 + length)),
  };
}

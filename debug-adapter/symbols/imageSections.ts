/** The sections of an ELF file as the DWARF reader wants them: read on demand, decompressed when they are compressed. */
import { type Decompressors, isCompressed, uncompressedBytes } from '../../vmm-core/elf/compressedSection.ts';
import {
  ET_REL,
  PF_X,
  PT_LOAD,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHT_NOBITS,
} from '../../vmm-core/elf/elfConstants.ts';
import { ElfError } from '../../vmm-core/elf/elfError.ts';
import { type ElfFile, type SectionHeader, findSection, readSection } from '../../vmm-core/elf/elfFile.ts';
import { layOutSections, relocated, relocationsOf } from '../../vmm-core/elf/relocations.ts';
import { type Range, toSigned } from '../dwarf/address.ts';
import { type SectionData, type SectionLoader, memorySection } from '../dwarf/section.ts';

/** Sections that cannot be read count as missing, with the reason given to `onProblem`. */
export function elfSectionLoader(
  elf: ElfFile,
  decompressors: Decompressors,
  onProblem: (message: string) => void,
): SectionLoader {
  return (name) => {
    const section = findSection(elf, name) ?? findSection(elf, name.replace('.debug_', '.zdebug_'));
    if (section === undefined || section.type === SHT_NOBITS) return undefined;
    try {
      if (isCompressed(section) || needsRelocation(elf, section)) {
        return memorySection(preparedBytes(elf, section, decompressors, onProblem));
      }
      if (section.offset + section.sizeBytes > elf.source.sizeBytes) {
        throw new ElfError(`section ${name} reaches past the end of the file`, section.offset);
      }
    } catch (error) {
      if (!(error instanceof ElfError)) throw error;
      onProblem(error.message);
      return undefined;
    }
    const data: SectionData = {
      sizeBytes: section.sizeBytes,
      read(offset, lengthBytes) {
        const bytes = new Uint8Array(lengthBytes);
        readSection(elf, section, offset, bytes);
        return bytes;
      },
    };
    return data;
  };
}

/**
 * The file with an address for every loadable section. Files that were linked have them; the sections of a relocatable object go to
 * the addresses given by name (where a module was loaded), else one after the other from 0.
 */
export function placed(elf: ElfFile, given: ReadonlyMap<string, bigint> | undefined): ElfFile {
  if (elf.type !== ET_REL) return elf;
  const layout = layOutSections(elf, ({ flags }) => (flags & SHF_ALLOC) !== 0);
  const addressOf = (section: SectionHeader): bigint =>
    given?.get(section.name) ?? layout.get(section.index) ?? 0n;
  return { ...elf, sections: elf.sections.map((section) => ({ ...section, address: addressOf(section) })) };
}

function needsRelocation(elf: ElfFile, section: SectionHeader): boolean {
  return elf.type === ET_REL && relocationsOf(elf, section).length > 0;
}

/** Decompressed first: relocations count in the uncompressed bytes (gABI, Compressed Sections). */
function preparedBytes(
  elf: ElfFile,
  section: SectionHeader,
  decompressors: Decompressors,
  onProblem: (message: string) => void,
): Uint8Array {
  const bytes = uncompressedBytes(elf, section, decompressors);
  if (!needsRelocation(elf, section)) return bytes;
  const result = relocated(elf, section, bytes, (index) => elf.sections[index]?.address ?? 0n);
  if (result.skipped > 0) onProblem(`${section.name}: ${result.skipped} relocations of unknown kinds`);
  return result.bytes;
}

/**
 * Where the file's code is. Linkers that drop unused functions leave their line sequences and ranges behind, moved to address 0 or
 * to the top of the address space; what is not in here is such a leftover.
 */
export function codeRanges(elf: ElfFile): readonly Range[] {
  const sections = elf.sections
    .filter(({ flags }) => (flags & (SHF_ALLOC | SHF_EXECINSTR)) === (SHF_ALLOC | SHF_EXECINSTR))
    .map(({ address, sizeBytes }) => rangeOf(elf, address, sizeBytes));
  const found =
    sections.length > 0
      ? sections
      : elf.programHeaders
          .filter(({ type, flags }) => type === PT_LOAD && (flags & PF_X) !== 0)
          .map(({ virtualAddress, memorySizeBytes }) => rangeOf(elf, virtualAddress, memorySizeBytes));
  return mergeRanges(found);
}

export function rangesInclude(ranges: readonly Range[], address: number): boolean {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ranges[middle] as Range).start <= address) low = middle + 1;
    else high = middle;
  }
  const range = ranges[low - 1];
  return range !== undefined && address < range.end;
}

function rangeOf(elf: ElfFile, address: bigint, sizeBytes: number): Range {
  const start = toSigned(address, elf.is64 ? 8 : 4);
  return { start, end: start + sizeBytes };
}

function mergeRanges(ranges: readonly Range[]): Range[] {
  const merged: { start: number; end: number }[] = [];
  for (const range of [...ranges].sort((a, b) => a.start - b.start)) {
    const last = merged.at(-1);
    if (last !== undefined && range.start <= last.end) last.end = Math.max(last.end, range.end);
    else merged.push({ ...range });
  }
  return merged;
}

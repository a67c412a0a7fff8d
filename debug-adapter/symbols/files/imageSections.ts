/**
 * The sections of an ELF file as the DWARF reader wants them: read on demand, decompressed when they are
 * compressed.
 */
import {
  type Decompressors,
  decompressionBudget,
  isCompressed,
  uncompressedBytes,
} from '../../../vmm-core/elf/compressedSection.ts';
import {
  ET_REL,
  PF_X,
  PT_LOAD,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHT_NOBITS,
} from '../../../vmm-core/elf/elfConstants.ts';
import { ElfError } from '../../../vmm-core/elf/elfError.ts';
import { type ElfFile, type SectionHeader, readSection } from '../../../vmm-core/elf/elfFile.ts';
import { layOutSections, relocated, relocationsOf } from '../../../vmm-core/elf/relocations.ts';
import { type Range, toSigned } from '../../dwarf/address.ts';
import type { DwarfFile } from '../../dwarf/dwarfFile.ts';
import { type SectionData, type SectionLoader, memorySection } from '../../dwarf/section.ts';

/**
 * Sections that cannot be read count as missing, with the reason given to `onProblem`. Objects (.o, .dwo)
 * have a section for each type unit or header's macros, all of one name, of which a linker would keep one of
 * each: they are read as if joined.
 */
export function elfSectionLoader(
  elf: ElfFile,
  decompressors: Decompressors,
  onProblem: (message: string) => void,
): SectionLoader {
  let left = decompressionBudget(elf);
  const prepare = (section: SectionHeader): Uint8Array => {
    const bytes = uncompressedBytes(elf, section, decompressors, left);
    if (isCompressed(section)) left -= bytes.length;
    return relocatedBytes(elf, section, bytes, onProblem);
  };
  return (name) => {
    try {
      const [section, ...more] = sectionsNamed(elf, name);
      if (section === undefined) return undefined;
      if (more.length > 0) return memorySection(joined([section, ...more].map(prepare)));
      if (isCompressed(section) || needsRelocation(elf, section)) return memorySection(prepare(section));
      if (section.offset + section.sizeBytes > elf.source.sizeBytes) {
        throw new ElfError(`section ${name} reaches past the end of the file`, section.offset);
      }
      return fileSection(elf, section);
    } catch (error) {
      if (!(error instanceof ElfError)) throw error;
      onProblem(error.message);
      return undefined;
    }
  };
}

function sectionsNamed(elf: ElfFile, name: string): SectionHeader[] {
  const named = (wanted: string): SectionHeader[] =>
    elf.sections.filter((section) => section.name === wanted && section.type !== SHT_NOBITS);
  const found = named(name);
  const several = found.length > 0 ? found : named(name.replace('.debug_', '.zdebug_'));
  return elf.type === ET_REL && name.startsWith('.debug_') ? several : several.slice(0, 1);
}

function fileSection(elf: ElfFile, section: SectionHeader): SectionData {
  return {
    sizeBytes: section.sizeBytes,
    read(offset, lengthBytes) {
      const bytes = new Uint8Array(lengthBytes);
      readSection(elf, section, offset, bytes);
      return bytes;
    },
  };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/**
 * The file with an address for every loadable section. Files that were linked have them; the sections of a
 * relocatable object go to the addresses given by name (where a module was loaded), otherwise one after
 * another from 0. Debug sections of one name count from the first of them, as they are read: references
 * between them are relocations.
 */
export function placed(elf: ElfFile, given: ReadonlyMap<string, bigint> | undefined): ElfFile {
  if (elf.type !== ET_REL) return elf;
  const layout = layOutSections(elf, ({ flags }) => (flags & SHF_ALLOC) !== 0);
  const sizes = new Map<string, bigint>();
  const addressOf = (section: SectionHeader): bigint => {
    if ((section.flags & SHF_ALLOC) !== 0) return given?.get(section.name) ?? layout.get(section.index) ?? 0n;
    if (!section.name.startsWith('.debug_')) return 0n;
    const before = sizes.get(section.name) ?? 0n;
    sizes.set(section.name, before + BigInt(section.sizeBytes));
    return before;
  };
  return { ...elf, sections: elf.sections.map((section) => ({ ...section, address: addressOf(section) })) };
}

/**
 * Names and sizes of the debugging sections: two files with the same build-id may differ in them (stripped,
 * compressed, rewritten). Without its supplementary file an image has fewer names than with it.
 */
export function debugSections(elf: ElfFile, supplement: DwarfFile | undefined): string {
  const sections = elf.sections
    .filter(({ name }) => /^\.z?debug_/.test(name))
    .map(({ name, sizeBytes }) => `${name}:${sizeBytes}`);
  return [...sections, ...(supplement === undefined ? [] : ['supplement'])].join(' ');
}

function needsRelocation(elf: ElfFile, section: SectionHeader): boolean {
  return elf.type === ET_REL && relocationsOf(elf, section).length > 0;
}

/** Relocations count in the uncompressed bytes (gABI, Compressed Sections). */
function relocatedBytes(
  elf: ElfFile,
  section: SectionHeader,
  bytes: Uint8Array,
  onProblem: (message: string) => void,
): Uint8Array {
  if (!needsRelocation(elf, section)) return bytes;
  const result = relocated(elf, section, bytes, (index) => elf.sections[index]?.address ?? 0n);
  if (result.skipped > 0) onProblem(`${section.name}: ${result.skipped} relocations of unknown kinds`);
  return result.bytes;
}

/**
 * Where the file's code is. Linkers that drop unused functions leave their line sequences and ranges behind,
 * moved to address 0 or to the top of the address space; anything outside is such a leftover.
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

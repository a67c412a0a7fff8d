/**
 * ELF32 and ELF64, either byte order: header, program headers, section headers and the bytes they name.
 * System V gABI chapters 4, 5. Used by the boot loaders (segments, notes) and by the symbol engine
 * (sections). Reads headers only; contents on demand.
 */
import type { ByteSource } from './byteSource.ts';
import {
  EI_CLASS,
  EI_DATA,
  EI_NIDENT,
  EI_OSABI,
  EI_VERSION,
  ELFCLASS32,
  ELFCLASS64,
  ELFDATA2LSB,
  ELFDATA2MSB,
  EV_CURRENT,
  PN_XNUM,
  PT_LOAD,
  SHN_XINDEX,
  SHT_NOBITS,
  SHT_NULL,
  machineName,
} from './elfConstants.ts';
import { ElfError } from './elfError.ts';
import { ElfReader, cString } from './elfReader.ts';

export interface ProgramHeader {
  readonly index: number;
  /** PT_… */
  readonly type: number;
  /** PF_… */
  readonly flags: number;
  readonly offset: number;
  readonly virtualAddress: bigint;
  readonly physicalAddress: bigint;
  readonly fileSizeBytes: number;
  readonly memorySizeBytes: number;
  readonly align: number;
}

export interface SectionHeader {
  readonly index: number;
  readonly name: string;
  /** SHT_… */
  readonly type: number;
  /** SHF_… */
  readonly flags: number;
  readonly address: bigint;
  readonly offset: number;
  readonly sizeBytes: number;
  readonly link: number;
  readonly info: number;
  readonly align: number;
  readonly entrySizeBytes: number;
}

export interface ElfFile {
  readonly source: ByteSource;
  readonly is64: boolean;
  readonly littleEndian: boolean;
  readonly osAbi: number;
  /** ET_… */
  readonly type: number;
  /** EM_… */
  readonly machine: number;
  /** `x86-64`, for messages. */
  readonly machineName: string;
  readonly flags: number;
  readonly entry: bigint;
  readonly programHeaders: readonly ProgramHeader[];
  /**
   * Includes section 0, so that indexes in the file index this array. Empty when the file was stripped of its
   * section table.
   */
  readonly sections: readonly SectionHeader[];
}

/** Whether the first bytes are `\x7fELF`; says nothing about the rest. */
export function isElf(bytes: Uint8Array): boolean {
  return (
    bytes.length >= 4 && bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46
  );
}

/**
 * Throws ElfError when the file is not ELF or its tables are broken. Contents of sections and segments are
 * not read.
 */
export function parseElf(source: ByteSource): ElfFile {
  const ident = readIdent(source);
  const header = readHeader(source, ident.is64, ident.littleEndian);
  const first = header.sectionOffset > 0 ? readSectionZero(source, header) : undefined;
  // gABI: a count that does not fit the header is in section 0 (sh_size, sh_link, sh_info).
  const sectionCount = header.sectionCount === 0 ? (first?.sizeBytes ?? 0) : header.sectionCount;
  const nameIndex = header.nameIndex === SHN_XINDEX ? (first?.link ?? 0) : header.nameIndex;
  const programCount = header.programCount === PN_XNUM ? (first?.info ?? PN_XNUM) : header.programCount;
  return elfFile(source, ident, header, {
    programHeaders: readProgramHeaders(source, header, programCount),
    sections: header.sectionOffset > 0 ? readSectionHeaders(source, header, sectionCount, nameIndex) : [],
  });
}

/**
 * The file as a loader sees it. What only linkers and debuggers read may be missing or damaged, as in files
 * that lost their section table, were cut after their last segment, or were written by hand: then there are
 * no sections.
 */
export function parseProgram(source: ByteSource): ElfFile {
  try {
    return parseElf(source);
  } catch (error) {
    if (!(error instanceof ElfError)) throw error;
  }
  const ident = readIdent(source, { anyVersion: true });
  const header = readHeader(source, ident.is64, ident.littleEndian);
  const programEntrySizeBytes = Math.max(header.programEntrySizeBytes, headerBytes(header.is64).program);
  return elfFile(source, ident, header, {
    programHeaders: readProgramHeaders(source, { ...header, programEntrySizeBytes }, header.programCount),
    sections: [],
  });
}

function elfFile(
  source: ByteSource,
  { osAbi }: Ident,
  { is64, littleEndian, type, machine, flags, entry }: Header,
  tables: Pick<ElfFile, 'programHeaders' | 'sections'>,
): ElfFile {
  const name = machineName(machine);
  return { source, is64, littleEndian, osAbi, type, machine, machineName: name, flags, entry, ...tables };
}

/** The first section with that name, by the usual convention that names are unique. */
export function findSection(elf: ElfFile, name: string): SectionHeader | undefined {
  return elf.sections.find((section) => section.name === name);
}

/**
 * A section's bytes as they are in the file (still compressed if they are, see compressedSection.ts).
 * SHT_NOBITS has none.
 */
export function sectionBytes(elf: ElfFile, section: SectionHeader): Uint8Array {
  if (section.type === SHT_NOBITS || section.type === SHT_NULL) return new Uint8Array(0);
  return readFile(elf.source, section.offset, section.sizeBytes, `section ${section.name || section.index}`);
}

/** Part of a section's bytes: `offset` counts from the section's start. */
export function readSection(elf: ElfFile, section: SectionHeader, offset: number, target: Uint8Array): void {
  if (section.type === SHT_NOBITS || !(offset >= 0 && offset + target.length <= section.sizeBytes)) {
    throw new ElfError(`read past the end of section ${section.name}`, section.offset + offset);
  }
  checkRange(elf.source, section.offset + offset, target.length, `section ${section.name}`);
  elf.source.readInto(section.offset + offset, target);
}

/** A segment's bytes in the file; the rest up to memorySizeBytes is zero. */
export function segmentBytes(elf: ElfFile, segment: ProgramHeader): Uint8Array {
  return readFile(elf.source, segment.offset, segment.fileSizeBytes, `segment ${segment.index}`);
}

/**
 * PT_LOAD segments with something in them, in the file's order. Each is checked to be inside the file and no
 * larger than in memory.
 */
export function loadSegments(elf: ElfFile): readonly ProgramHeader[] {
  const segments = elf.programHeaders.filter(
    ({ type, memorySizeBytes }) => type === PT_LOAD && memorySizeBytes > 0,
  );
  for (const segment of segments) {
    checkRange(elf.source, segment.offset, segment.fileSizeBytes, `segment ${segment.index}`);
    if (segment.fileSizeBytes > segment.memorySizeBytes) {
      throw new ElfError(`segment ${segment.index} is larger in the file than in memory`, segment.offset);
    }
  }
  return segments;
}

interface Ident {
  readonly is64: boolean;
  readonly littleEndian: boolean;
  readonly osAbi: number;
}

interface Header {
  readonly is64: boolean;
  readonly littleEndian: boolean;
  readonly type: number;
  readonly machine: number;
  readonly entry: bigint;
  readonly flags: number;
  readonly programOffset: number;
  readonly programEntrySizeBytes: number;
  readonly programCount: number;
  readonly sectionOffset: number;
  readonly sectionEntrySizeBytes: number;
  readonly sectionCount: number;
  readonly nameIndex: number;
}

/** Sizes of Elf32_Ehdr and Elf32_Phdr, Elf64_Ehdr and Elf64_Phdr. */
export function headerBytes(is64: boolean): { readonly file: number; readonly program: number } {
  return is64 ? { file: 64, program: 56 } : { file: 52, program: 32 };
}

function readIdent(source: ByteSource, { anyVersion = false } = {}): Ident {
  if (source.sizeBytes < EI_NIDENT) throw new ElfError(`not an ELF file: only ${source.sizeBytes} bytes`);
  const ident = readFile(source, 0, EI_NIDENT, 'identification');
  if (!isElf(ident)) throw new ElfError('not an ELF file: no \\x7fELF magic', 0);
  const elfClass = ident[EI_CLASS];
  const data = ident[EI_DATA];
  if (elfClass !== ELFCLASS32 && elfClass !== ELFCLASS64) {
    throw new ElfError(`unknown ELF class ${elfClass}`, EI_CLASS);
  }
  if (data !== ELFDATA2LSB && data !== ELFDATA2MSB)
    throw new ElfError(`unknown ELF data encoding ${data}`, EI_DATA);
  if (ident[EI_VERSION] !== EV_CURRENT && !anyVersion)
    throw new ElfError(`unknown ELF version ${ident[EI_VERSION]}`, EI_VERSION);
  return { is64: elfClass === ELFCLASS64, littleEndian: data === ELFDATA2LSB, osAbi: ident[EI_OSABI] ?? 0 };
}

/** Elf32_Ehdr / Elf64_Ehdr: the fields after e_entry move by the size of three addresses. */
function readHeader(source: ByteSource, is64: boolean, littleEndian: boolean): Header {
  const sizeBytes = headerBytes(is64).file;
  const at = new ElfReader(readFile(source, 0, sizeBytes, 'header'), is64, littleEndian, 0);
  const wordBytes = is64 ? 8 : 4;
  const afterWords = 24 + 3 * wordBytes;
  return {
    is64,
    littleEndian,
    type: at.u16(16),
    machine: at.u16(18),
    entry: at.address(24),
    programOffset: at.word(24 + wordBytes),
    sectionOffset: at.word(24 + 2 * wordBytes),
    flags: at.u32(afterWords),
    programEntrySizeBytes: at.u16(afterWords + 6),
    programCount: at.u16(afterWords + 8),
    sectionEntrySizeBytes: at.u16(afterWords + 10),
    sectionCount: at.u16(afterWords + 12),
    nameIndex: at.u16(afterWords + 14),
  };
}

function readProgramHeaders(source: ByteSource, header: Header, count: number): ProgramHeader[] {
  if (count === 0 || header.programOffset === 0) return [];
  const minimumBytes = headerBytes(header.is64).program;
  const sizeBytes = entrySize(header.programEntrySizeBytes, minimumBytes, 'program header');
  const table = readFile(source, header.programOffset, count * sizeBytes, 'program header table');
  const headers: ProgramHeader[] = [];
  for (let index = 0; index < count; index++) {
    const start = index * sizeBytes;
    const at = new ElfReader(
      table.subarray(start, start + sizeBytes),
      header.is64,
      header.littleEndian,
      header.programOffset + start,
    );
    headers.push(header.is64 ? readProgramHeader64(at, index) : readProgramHeader32(at, index));
  }
  return headers;
}

function readProgramHeader64(at: ElfReader, index: number): ProgramHeader {
  return {
    index,
    type: at.u32(0),
    flags: at.u32(4),
    offset: at.word(8),
    virtualAddress: at.address(16),
    physicalAddress: at.address(24),
    fileSizeBytes: at.word(32),
    memorySizeBytes: at.word(40),
    align: at.word(48),
  };
}

function readProgramHeader32(at: ElfReader, index: number): ProgramHeader {
  return {
    index,
    type: at.u32(0),
    offset: at.word(4),
    virtualAddress: at.address(8),
    physicalAddress: at.address(12),
    fileSizeBytes: at.word(16),
    memorySizeBytes: at.word(20),
    flags: at.u32(24),
    align: at.word(28),
  };
}

function readSectionZero(source: ByteSource, header: Header): SectionHeader {
  const minimumBytes = header.is64 ? 64 : 40;
  entrySize(header.sectionEntrySizeBytes, minimumBytes, 'section header');
  const bytes = readFile(source, header.sectionOffset, minimumBytes, 'section header table');
  return readSectionHeader(new ElfReader(bytes, header.is64, header.littleEndian, header.sectionOffset), 0)
    .header;
}

function readSectionHeaders(
  source: ByteSource,
  header: Header,
  count: number,
  nameIndex: number,
): SectionHeader[] {
  const sizeBytes = entrySize(header.sectionEntrySizeBytes, header.is64 ? 64 : 40, 'section header');
  const table = readFile(source, header.sectionOffset, count * sizeBytes, 'section header table');
  const unnamed: { header: SectionHeader; nameOffset: number }[] = [];
  for (let index = 0; index < count; index++) {
    const start = index * sizeBytes;
    const bytes = table.subarray(start, start + sizeBytes);
    const at = new ElfReader(bytes, header.is64, header.littleEndian, header.sectionOffset + start);
    unnamed.push(readSectionHeader(at, index));
  }
  const names = sectionNames(source, unnamed[nameIndex]?.header);
  return unnamed.map((section) => ({ ...section.header, name: cString(names, section.nameOffset) }));
}

function readSectionHeader(at: ElfReader, index: number): { header: SectionHeader; nameOffset: number } {
  const wordBytes = at.is64 ? 8 : 4;
  const afterWords = 8 + 4 * wordBytes;
  const header = {
    index,
    name: '',
    type: at.u32(4),
    flags: at.word(8),
    address: at.address(8 + wordBytes),
    offset: at.word(8 + 2 * wordBytes),
    sizeBytes: at.word(8 + 3 * wordBytes),
    link: at.u32(afterWords),
    info: at.u32(afterWords + 4),
    align: at.word(afterWords + 8),
    entrySizeBytes: at.word(afterWords + 8 + wordBytes),
  };
  return { header, nameOffset: at.u32(0) };
}

/** A file without a usable name table still has sections, all named ''. */
function sectionNames(source: ByteSource, section: SectionHeader | undefined): Uint8Array {
  if (section === undefined || section.index === 0 || section.type === SHT_NOBITS) return new Uint8Array(0);
  return readFile(source, section.offset, section.sizeBytes, 'section name table');
}

function entrySize(actualBytes: number, minimumBytes: number, what: string): number {
  if (actualBytes < minimumBytes)
    throw new ElfError(`${what} entries of ${actualBytes} bytes, need ${minimumBytes}`);
  return actualBytes;
}

function checkRange(source: ByteSource, offset: number, lengthBytes: number, what: string): void {
  if (!(offset >= 0 && lengthBytes >= 0 && offset + lengthBytes <= source.sizeBytes)) {
    throw new ElfError(`${what} reaches past the end of the file (${source.sizeBytes} bytes)`, offset);
  }
}

function readFile(source: ByteSource, offset: number, lengthBytes: number, what: string): Uint8Array {
  checkRange(source, offset, lengthBytes, what);
  const bytes = new Uint8Array(lengthBytes);
  source.readInto(offset, bytes);
  return bytes;
}

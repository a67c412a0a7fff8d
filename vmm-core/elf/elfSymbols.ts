/**
 * Symbol tables (.symtab, .dynsym; gABI chapter 4). A kernel has 200 000 symbols: each is decoded only when
 * it is asked for.
 */
import { SHN_XINDEX, SHT_DYNSYM, SHT_STRTAB, SHT_SYMTAB, SHT_SYMTAB_SHNDX } from './elfConstants.ts';
import { ElfError } from './elfError.ts';
import { type ElfFile, type SectionHeader, sectionBytes } from './elfFile.ts';
import { ElfReader, cString } from './elfReader.ts';

export class SymbolTable {
  readonly count: number;
  readonly #at: ElfReader;
  readonly #strings: Uint8Array;
  readonly #entryBytes: number;
  readonly #wideIndexes: ElfReader | undefined;

  constructor(at: ElfReader, entryBytes: number, strings: Uint8Array, wideIndexes: ElfReader | undefined) {
    this.#at = at;
    this.#entryBytes = entryBytes;
    this.#strings = strings;
    this.#wideIndexes = wideIndexes;
    this.count = Math.floor(at.bytes.length / entryBytes);
  }

  name(index: number): string {
    return cString(this.#strings, this.#nameOffset(index));
  }

  value(index: number): bigint {
    const start = index * this.#entryBytes;
    return this.#at.is64 ? this.#at.u64(start + 8) : BigInt(this.#at.u32(start + 4));
  }

  /**
   * The value as a signed 64-bit number: exact below 2^53 in magnitude, which covers user space and the
   * kernel's own addresses.
   */
  signedValue(index: number): number {
    const start = index * this.#entryBytes;
    if (!this.#at.is64) return this.#at.u32(start + 4);
    const value = this.#at.word(start + 8);
    return value >= 2 ** 63 ? this.#signedWord(start + 8) : value;
  }

  sizeBytes(index: number): number {
    const start = index * this.#entryBytes;
    return this.#at.is64 ? this.#at.word(start + 16) : this.#at.u32(start + 8);
  }

  /** STT_… */
  type(index: number): number {
    return this.#info(index) & 0xf;
  }

  /** STB_… */
  binding(index: number): number {
    return this.#info(index) >> 4;
  }

  /** SHN_…, or the index of the section the symbol is defined in. */
  sectionIndex(index: number): number {
    const section = this.#at.u16(index * this.#entryBytes + (this.#at.is64 ? 6 : 14));
    if (section !== SHN_XINDEX || this.#wideIndexes === undefined) return section;
    return index * 4 + 4 <= this.#wideIndexes.bytes.length ? this.#wideIndexes.u32(index * 4) : section;
  }

  /**
   * Whether the symbol's name is `name` (UTF-8 bytes) alone, or `name` followed by a dot and more: a clone
   * the compiler made.
   */
  nameMatches(index: number, name: Uint8Array): 'exact' | 'clone' | undefined {
    const start = this.#nameOffset(index);
    const strings = this.#strings;
    for (let i = 0; i < name.length; i++) if (strings[start + i] !== name[i]) return undefined;
    const next = strings[start + name.length];
    if (next === 0 || next === undefined) return 'exact';
    return next === 0x2e ? 'clone' : undefined;
  }

  #nameOffset(index: number): number {
    return this.#at.u32(index * this.#entryBytes);
  }

  #info(index: number): number {
    return this.#at.u8(index * this.#entryBytes + (this.#at.is64 ? 4 : 12));
  }

  #signedWord(at: number): number {
    return Number(BigInt.asIntN(64, this.#at.u64(at)));
  }
}

/** The table of type SHT_SYMTAB or SHT_DYNSYM, if the file has it. */
export function readSymbolTable(elf: ElfFile, type: number): SymbolTable | undefined {
  const section = elf.sections.find((candidate) => candidate.type === type);
  return section && symbolTableOf(elf, section);
}

/** The table that names code best: .symtab, else .dynsym. */
export function bestSymbolTable(elf: ElfFile): SymbolTable | undefined {
  return readSymbolTable(elf, SHT_SYMTAB) ?? readSymbolTable(elf, SHT_DYNSYM);
}

/** The table in the section with that index, as relocations name it. */
export function symbolTableAt(elf: ElfFile, sectionIndex: number): SymbolTable | undefined {
  const section = elf.sections[sectionIndex];
  return section?.type === SHT_SYMTAB || section?.type === SHT_DYNSYM
    ? symbolTableOf(elf, section)
    : undefined;
}

function symbolTableOf(elf: ElfFile, section: SectionHeader): SymbolTable {
  const entryBytes = elf.is64 ? 24 : 16;
  if (section.entrySizeBytes !== entryBytes) {
    throw new ElfError(`${section.name} has entries of ${section.entrySizeBytes} bytes, need ${entryBytes}`);
  }
  const reader = (from: SectionHeader): ElfReader =>
    new ElfReader(sectionBytes(elf, from), elf.is64, elf.littleEndian, from.offset);
  const strings = elf.sections[section.link];
  const wide = elf.sections.find(({ type, link }) => type === SHT_SYMTAB_SHNDX && link === section.index);
  return new SymbolTable(
    reader(section),
    entryBytes,
    strings?.type === SHT_STRTAB ? sectionBytes(elf, strings) : new Uint8Array(0),
    wide && reader(wide),
  );
}

/**
 * What the fuzz tests of the ELF reader run: good files of both classes and byte orders, and everything that
 * can be asked of them.
 */
import { deflateSync, inflateSync } from 'node:zlib';
import { bytesSource } from '../../vmm-core/elf/byteSource.ts';
import { uncompressedBytes } from '../../vmm-core/elf/compressedSection.ts';
import { crc32, debugLink } from '../../vmm-core/elf/debugLink.ts';
import {
  EM_AARCH64,
  EM_RISCV,
  EM_X86_64,
  ET_REL,
  PT_LOAD,
  PT_NOTE,
  SHF_COMPRESSED,
  SHT_NOTE,
  SHT_REL,
  SHT_RELA,
  SHT_STRTAB,
  SHT_SYMTAB,
} from '../../vmm-core/elf/elfConstants.ts';
import { ElfError } from '../../vmm-core/elf/elfError.ts';
import {
  loadSegments,
  parseElf,
  readSection,
  sectionBytes,
  segmentBytes,
} from '../../vmm-core/elf/elfFile.ts';
import { buildId, elfNotes } from '../../vmm-core/elf/elfNotes.ts';
import { bestSymbolTable } from '../../vmm-core/elf/elfSymbols.ts';
import { layOutSections, relocated, relocationsOf } from '../../vmm-core/elf/relocations.ts';
import { supplementId, supplementLink } from '../../vmm-core/elf/supplementLink.ts';
import { unzstd } from '../../debug-adapter/symbols/files/zstd.ts';
import { Bytes } from './bytes.ts';
import { buildElf } from './dwarfBuilderElf.ts';
import type { FuzzTarget, Sections } from './fuzz.ts';

const TEXT = new TextEncoder().encode('debug information '.repeat(20));

export function elfTargets(): readonly FuzzTarget[] {
  const isTyped = (error: unknown): boolean => error instanceof ElfError;
  const seeds = [
    { is64: true, littleEndian: true, machine: EM_X86_64 },
    { is64: false, littleEndian: true, machine: 3 },
    { is64: true, littleEndian: false, machine: EM_AARCH64 },
    { is64: true, littleEndian: true, machine: EM_RISCV },
  ].map(file);
  return [{ name: 'ELF', seeds, run: ask, isTyped }];
}

interface Kind {
  readonly is64: boolean;
  readonly littleEndian: boolean;
  readonly machine: number;
}

/** A relocatable object with a section of each kind, and segments as programs have them. */
function file({ is64, littleEndian, machine }: Kind): Sections {
  const word = is64 ? 8 : 4;
  const bytes = (): Bytes => new Bytes(littleEndian);
  const note = bytes().u32(4, 8, 3).cstring('GNU').u8(1, 2, 3, 4, 5, 6, 7, 8).done();
  const symbols = bytes().padTo(is64 ? 24 : 16);
  if (is64) symbols.u32(1).u8(0x12, 0).u16(1).u64(0x10, 0x40);
  else symbols.u32(1, 0x10, 0x40).u8(0x12, 0).u16(1);
  const compressed = bytes().u32(1);
  if (is64) compressed.u32(0);
  compressed.word(word, TEXT.length).word(word, 1).bytes(deflateSync(TEXT));
  const type = machine === EM_AARCH64 ? 257 : machine === EM_RISCV ? 35 : 1;
  const relocation = bytes().word(word, 4);
  if (is64) relocation.u64(littleEndian ? (1n << 32n) | BigInt(type) : (1n << 32n) | BigInt(type)).u64(8);
  else relocation.u32((1 << 8) | type);
  const elf = buildElf({
    is64,
    littleEndian,
    machine,
    type: ET_REL,
    entry: 0x1000,
    sections: [
      { name: '.text', flags: 6, bytes: new Uint8Array(32), address: 0x1000 },
      { name: '.symtab', type: SHT_SYMTAB, bytes: symbols.done(), link: 3, entrySizeBytes: is64 ? 24 : 16 },
      { name: '.strtab', type: SHT_STRTAB, bytes: bytes().u8(0).cstring('main').done() },
      { name: '.debug_info', bytes: new Uint8Array(32) },
      {
        name: '.rela.debug_info',
        type: is64 ? SHT_RELA : SHT_REL,
        bytes: relocation.done(),
        link: 2,
        info: 4,
      },
      { name: '.debug_str', flags: SHF_COMPRESSED, bytes: compressed.done() },
      {
        name: '.zdebug_line',
        bytes: new Bytes(false)
          .bytes(new TextEncoder().encode('ZLIB'))
          .u64(TEXT.length)
          .bytes(deflateSync(TEXT))
          .done(),
      },
      { name: '.note.gnu.build-id', type: SHT_NOTE, bytes: note },
      { name: '.gnu_debuglink', bytes: bytes().cstring('prog.debug').align(4).u32(0x1234).done() },
      { name: '.debug_types', flags: SHF_COMPRESSED, bytes: zstdSection({ is64, littleEndian }) },
      { name: '.gnu_debugaltlink', bytes: bytes().cstring('common.debug').u8(1, 2, 3, 4).done() },
      { name: '.debug_sup', bytes: bytes().u16(5).u8(0).cstring('common.sup').u8(3, 9, 8, 7).done() },
    ],
    segments: [
      { type: PT_LOAD, flags: 5, virtualAddress: 0x1000, bytes: new Uint8Array(32), memorySizeBytes: 64 },
      { type: PT_NOTE, bytes: note, align: 4 },
    ],
  });
  return new Map([['ELF', elf]]);
}

/** RFC 8878: TEXT as one raw block, and after it one that repeats a byte. */
function zstdSection({ is64, littleEndian }: Omit<Kind, 'machine'>): Uint8Array {
  const repeated = 40;
  const header = (sizeBytes: number, type: number, isLast: boolean): number[] => {
    const bits = Number(isLast) | (type << 1) | (sizeBytes << 3);
    return [bits & 0xff, (bits >> 8) & 0xff, bits >> 16];
  };
  const word = is64 ? 8 : 4;
  const section = new Bytes(littleEndian).u32(2);
  if (is64) section.u32(0);
  section.word(word, TEXT.length + repeated).word(word, 1);
  const frame = new Bytes()
    .u32(0xfd2fb528)
    .u8(0xa0)
    .u32(TEXT.length + repeated);
  frame.bytes(header(TEXT.length, 0, false), TEXT, header(repeated, 1, true)).u8(0x41);
  return section.bytes(frame.done()).done();
}

const DECOMPRESSORS = {
  zstd: unzstd,
  zlib: (compressed: Uint8Array, sizeBytes: number): Uint8Array =>
    inflateSync(compressed, { maxOutputLength: Math.max(sizeBytes, 1) }),
};

/** Asks every question, even after errors; then throws the first error. */
function ask(sections: Sections): void {
  const elf = parseElf(bytesSource('fuzz', sections.get('ELF') as Uint8Array));
  const errors: unknown[] = [];
  const attempt = (question: () => unknown): void => {
    try {
      question();
    } catch (error) {
      errors.push(error);
    }
  };
  attempt(() => loadSegments(elf).map((segment) => segmentBytes(elf, segment)));
  attempt(() => elfNotes(elf));
  attempt(() => buildId(elf));
  attempt(() => debugLink(elf));
  attempt(() => supplementLink(elf));
  attempt(() => supplementId(elf));
  attempt(() => {
    const table = bestSymbolTable(elf);
    for (let index = 0; table !== undefined && index < table.count; index++) {
      table.name(index);
      table.value(index);
      table.signedValue(index);
      table.sizeBytes(index);
      table.sectionIndex(index);
      table.nameMatches(index, TEXT);
    }
  });
  const layout = layOutSections(elf, ({ flags }) => (flags & 2) !== 0);
  for (const section of elf.sections) {
    attempt(() => crc32(sectionBytes(elf, section)));
    if (section.sizeBytes >= 4) attempt(() => readSection(elf, section, 1, new Uint8Array(2)));
    attempt(() => {
      const bytes = uncompressedBytes(elf, section, DECOMPRESSORS);
      if (relocationsOf(elf, section).length > 0)
        relocated(elf, section, bytes, (index) => layout.get(index) ?? 0n);
    });
  }
  const untyped = errors.find((error) => !(error instanceof ElfError));
  if (errors.length > 0) throw untyped ?? errors[0];
}

/**
 * Builds small ELF files for tests from a list of sections and segments. Tables go after the contents; named
 * sections keep their names.
 */
import { Bytes } from './bytes.ts';

export interface BuiltSection {
  readonly name: string;
  readonly type?: number;
  readonly flags?: number;
  readonly address?: number | bigint;
  readonly bytes: Uint8Array;
  readonly link?: number;
  readonly info?: number;
  readonly align?: number;
  readonly entrySizeBytes?: number;
}

export interface BuiltSegment {
  readonly type: number;
  readonly flags?: number;
  readonly virtualAddress?: number | bigint;
  readonly physicalAddress?: number | bigint;
  readonly bytes: Uint8Array;
  readonly memorySizeBytes?: number;
  readonly align?: number;
}

export interface ElfRecipe {
  readonly is64?: boolean;
  readonly littleEndian?: boolean;
  readonly type?: number;
  readonly machine?: number;
  readonly entry?: number | bigint;
  readonly sections?: readonly BuiltSection[];
  readonly segments?: readonly BuiltSegment[];
}

/** Section 0 and .shstrtab are added: the sections given have indexes 1, 2, … in their order. */
export function buildElf(recipe: ElfRecipe): Uint8Array {
  const { is64 = true, littleEndian = true, sections = [], segments = [] } = recipe;
  const word = is64 ? 8 : 4;
  const out = new Bytes(littleEndian).padTo(is64 ? 64 : 52);
  const place = (bytes: Uint8Array): number => {
    const offset = out.align(8).length;
    out.bytes(bytes);
    return offset;
  };
  const segmentOffsets = segments.map((segment) => place(segment.bytes));
  const names = new Bytes().u8(0);
  const all: BuiltSection[] = [...sections, { name: '.shstrtab', type: 3, bytes: new Uint8Array(0) }];
  const nameOffsets = all.map((section) => {
    const offset = names.length;
    names.cstring(section.name);
    return offset;
  });
  const contents = all.map((section, index) => (index === all.length - 1 ? names.done() : section.bytes));
  const offsets = contents.map(place);

  const programOffset = segments.length > 0 ? out.align(8).length : 0;
  segments.forEach((segment, index) => {
    const fields = {
      offset: segmentOffsets[index] ?? 0,
      file: segment.bytes.length,
      memory: segment.memorySizeBytes ?? segment.bytes.length,
    };
    out.u32(segment.type);
    if (is64) out.u32(segment.flags ?? 0);
    out.word(word, fields.offset).word(word, segment.virtualAddress ?? 0);
    out.word(word, segment.physicalAddress ?? segment.virtualAddress ?? 0);
    out.word(word, fields.file).word(word, fields.memory);
    if (!is64) out.u32(segment.flags ?? 0);
    out.word(word, segment.align ?? 1);
  });

  const sectionOffset = out.align(8).length;
  out.padTo(sectionOffset + (is64 ? 64 : 40));
  all.forEach((section, index) => {
    out.u32(nameOffsets[index] ?? 0, section.type ?? 1).word(word, section.flags ?? 0);
    out.word(word, section.address ?? 0).word(word, offsets[index] ?? 0);
    out.word(word, contents[index]?.length ?? 0).u32(section.link ?? 0, section.info ?? 0);
    out.word(word, section.align ?? 1).word(word, section.entrySizeBytes ?? 0);
  });

  const header = new Bytes(littleEndian)
    .u8(0x7f, 0x45, 0x4c, 0x46, is64 ? 2 : 1, littleEndian ? 1 : 2, 1)
    .padTo(16)
    .u16(recipe.type ?? 2, recipe.machine ?? 62)
    .u32(1)
    .word(word, recipe.entry ?? 0)
    .word(word, programOffset)
    .word(word, sectionOffset)
    .u32(0)
    .u16(is64 ? 64 : 52, is64 ? 56 : 32, segments.length, is64 ? 64 : 40, all.length + 1, all.length);
  const file = out.done();
  file.set(header.done());
  return file;
}

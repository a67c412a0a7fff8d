/**
 * Applies relocations to sections of relocatable objects (kernel modules, .o files). Debug information
 * cannot be read before: the offsets between its sections are relocations there. Only the kinds that
 * compilers use in debug sections are known; psABI of x86-64 §4.4, i386 §4.6, AArch64 §5.7, RISC-V §8.5, and
 * those of ARM, MIPS, PowerPC and S/390.
 */
import {
  EM_386,
  EM_AARCH64,
  EM_ARM,
  EM_MIPS,
  EM_PPC64,
  EM_RISCV,
  EM_S390,
  EM_X86_64,
  SHN_ABS,
  SHN_UNDEF,
  SHT_REL,
  SHT_RELA,
} from './elfConstants.ts';
import { ElfError } from './elfError.ts';
import { type ElfFile, type SectionHeader, sectionBytes } from './elfFile.ts';
import { ElfReader } from './elfReader.ts';
import { symbolTableAt } from './elfSymbols.ts';

/** What a relocation does to the bytes at its place: S + A, less P when relative. */
interface Howto {
  readonly sizeBytes: 1 | 2 | 4 | 8;
  readonly relative?: true;
  /** Added to or subtracted from what is there (RISC-V's label differences). */
  readonly accumulate?: 1 | -1;
  /** Only the low bits of the field: the delta in DW_CFA_advance_loc. */
  readonly bits?: 6;
}

const NONE: Howto = { sizeBytes: 1 };

const HOWTO: ReadonlyMap<number, ReadonlyMap<number, Howto>> = new Map([
  [
    EM_X86_64,
    new Map<number, Howto>([
      [1, { sizeBytes: 8 }], // R_X86_64_64
      [2, { sizeBytes: 4, relative: true }], // R_X86_64_PC32
      [10, { sizeBytes: 4 }], // R_X86_64_32
      [11, { sizeBytes: 4 }], // R_X86_64_32S
      [17, { sizeBytes: 8 }], // R_X86_64_DTPOFF64
      [21, { sizeBytes: 4 }], // R_X86_64_DTPOFF32
      [24, { sizeBytes: 8, relative: true }], // R_X86_64_PC64
    ]),
  ],
  [
    EM_386,
    new Map<number, Howto>([
      [1, { sizeBytes: 4 }], // R_386_32
      [2, { sizeBytes: 4, relative: true }], // R_386_PC32
    ]),
  ],
  [
    EM_AARCH64,
    new Map<number, Howto>([
      [257, { sizeBytes: 8 }], // R_AARCH64_ABS64
      [258, { sizeBytes: 4 }], // R_AARCH64_ABS32
      [260, { sizeBytes: 8, relative: true }], // R_AARCH64_PREL64
      [261, { sizeBytes: 4, relative: true }], // R_AARCH64_PREL32
    ]),
  ],
  [
    EM_RISCV,
    new Map<number, Howto>([
      [1, { sizeBytes: 4 }], // R_RISCV_32
      [2, { sizeBytes: 8 }], // R_RISCV_64
      [33, { sizeBytes: 1, accumulate: 1 }], // R_RISCV_ADD8
      [34, { sizeBytes: 2, accumulate: 1 }],
      [35, { sizeBytes: 4, accumulate: 1 }],
      [36, { sizeBytes: 8, accumulate: 1 }],
      [37, { sizeBytes: 1, accumulate: -1 }], // R_RISCV_SUB8
      [38, { sizeBytes: 2, accumulate: -1 }],
      [39, { sizeBytes: 4, accumulate: -1 }],
      [40, { sizeBytes: 8, accumulate: -1 }],
      [52, { sizeBytes: 1, accumulate: -1, bits: 6 }], // R_RISCV_SUB6
      [53, { sizeBytes: 1, bits: 6 }], // R_RISCV_SET6
      [54, { sizeBytes: 1 }], // R_RISCV_SET8
      [55, { sizeBytes: 2 }],
      [56, { sizeBytes: 4 }],
      [57, { sizeBytes: 4, relative: true }], // R_RISCV_32_PCREL
    ]),
  ],
  [
    EM_ARM,
    new Map<number, Howto>([
      [2, { sizeBytes: 4 }], // R_ARM_ABS32
      [3, { sizeBytes: 4, relative: true }], // R_ARM_REL32
    ]),
  ],
  [
    EM_MIPS,
    new Map<number, Howto>([
      [2, { sizeBytes: 4 }], // R_MIPS_32
      [18, { sizeBytes: 8 }], // R_MIPS_64
    ]),
  ],
  [
    EM_PPC64,
    new Map<number, Howto>([
      [1, { sizeBytes: 4 }], // R_PPC64_ADDR32
      [26, { sizeBytes: 4, relative: true }], // R_PPC64_REL32
      [38, { sizeBytes: 8 }], // R_PPC64_ADDR64
      [44, { sizeBytes: 8, relative: true }], // R_PPC64_REL64
    ]),
  ],
  [
    EM_S390,
    new Map<number, Howto>([
      [4, { sizeBytes: 4 }], // R_390_32
      [5, { sizeBytes: 4, relative: true }], // R_390_PC32
      [22, { sizeBytes: 8 }], // R_390_64
      [23, { sizeBytes: 8, relative: true }], // R_390_PC64
    ]),
  ],
]);

/** The relocation sections that apply to a section, if any. */
export function relocationsOf(elf: ElfFile, section: SectionHeader): SectionHeader[] {
  return elf.sections.filter(
    ({ type, info }) => (type === SHT_RELA || type === SHT_REL) && info === section.index,
  );
}

/**
 * A copy of `bytes` (the contents of `section`) with its relocations applied. `sectionAddress` gives each
 * section's load address: relocatable objects have none of their own. An unknown relocation changes nothing
 * and is counted.
 */
export function relocated(
  elf: ElfFile,
  section: SectionHeader,
  bytes: Uint8Array,
  sectionAddress: (index: number) => bigint,
): { readonly bytes: Uint8Array; readonly skipped: number } {
  const howtos = HOWTO.get(elf.machine);
  const copy = bytes.slice();
  let skipped = 0;
  for (const relocations of relocationsOf(elf, section)) {
    const table = symbolTableAt(elf, relocations.link);
    if (table === undefined)
      throw new ElfError(`${relocations.name} has no symbol table`, relocations.offset);
    const addressOf = (symbol: number): bigint => {
      if (symbol === 0 || symbol >= table.count) return 0n;
      const index = table.sectionIndex(symbol);
      const defined = index !== SHN_UNDEF && index !== SHN_ABS;
      return table.value(symbol) + (defined ? sectionAddress(index) : 0n);
    };
    skipped += applyTable(elf, relocations, copy, howtos, addressOf, sectionAddress(section.index));
  }
  return { bytes: copy, skipped };
}

function applyTable(
  elf: ElfFile,
  relocations: SectionHeader,
  target: Uint8Array,
  howtos: ReadonlyMap<number, Howto> | undefined,
  addressOf: (symbol: number) => bigint,
  base: bigint,
): number {
  const hasAddend = relocations.type === SHT_RELA;
  const word = elf.is64 ? 8 : 4;
  const entryBytes = (hasAddend ? 3 : 2) * word;
  const at = new ElfReader(sectionBytes(elf, relocations), elf.is64, elf.littleEndian, relocations.offset);
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  let skipped = 0;
  for (let entry = 0; entry + entryBytes <= at.bytes.length; entry += entryBytes) {
    const offset = at.word(entry);
    const type = elf.is64
      ? typeOf(elf, at.u32(entry + (elf.littleEndian ? 8 : 12)))
      : at.u32(entry + 4) & 0xff;
    const symbol = elf.is64 ? at.u32(entry + (elf.littleEndian ? 12 : 8)) : at.u32(entry + 4) >>> 8;
    const howto = type === 0 ? NONE : howtos?.get(type);
    if (howto === undefined || !(offset + howto.sizeBytes <= target.length)) {
      skipped++;
      continue;
    }
    if (howto === NONE) continue;
    const inPlace = readField(view, offset, howto.sizeBytes, elf.littleEndian);
    const addend = hasAddend ? at.address(entry + 2 * word) : inPlace;
    writeField(
      view,
      offset,
      howto.sizeBytes,
      elf.littleEndian,
      compute(howto, addressOf(symbol) + addend, inPlace, base + BigInt(offset)),
    );
  }
  return skipped;
}

/**
 * MIPS packs three types and a second symbol into the place of one type; the first type is what debug
 * sections use.
 */
function typeOf(elf: ElfFile, info: number): number {
  return elf.machine === EM_MIPS ? info & 0xff : info;
}

function compute(howto: Howto, value: bigint, inPlace: bigint, place: bigint): bigint {
  const accumulated = howto.accumulate === undefined ? value : inPlace + BigInt(howto.accumulate) * value;
  if (howto.bits !== undefined) {
    const mask = (1n << BigInt(howto.bits)) - 1n;
    return (inPlace & ~mask) | (accumulated & mask);
  }
  return howto.relative === true ? accumulated - place : accumulated;
}

function readField(view: DataView, offset: number, sizeBytes: number, littleEndian: boolean): bigint {
  switch (sizeBytes) {
    case 8:
      return view.getBigUint64(offset, littleEndian);
    case 4:
      return BigInt(view.getUint32(offset, littleEndian));
    case 2:
      return BigInt(view.getUint16(offset, littleEndian));
    default:
      return BigInt(view.getUint8(offset));
  }
}

function writeField(
  view: DataView,
  offset: number,
  sizeBytes: number,
  littleEndian: boolean,
  value: bigint,
): void {
  const bits = BigInt.asUintN(8 * sizeBytes, value);
  switch (sizeBytes) {
    case 8:
      return view.setBigUint64(offset, bits, littleEndian);
    case 4:
      return view.setUint32(offset, Number(bits), littleEndian);
    case 2:
      return view.setUint16(offset, Number(bits), littleEndian);
    default:
      return view.setUint8(offset, Number(bits));
  }
}

/**
 * Addresses for the loadable sections of a relocatable object, consecutive from 0 in the file's order, as
 * gdb's add-symbol-file lays them out by default. Sections that are not loaded stay at 0.
 */
export function layOutSections(
  elf: ElfFile,
  isLoaded: (section: SectionHeader) => boolean,
): Map<number, bigint> {
  const addresses = new Map<number, bigint>();
  let next = 0n;
  for (const section of elf.sections) {
    if (!isLoaded(section)) continue;
    const align = BigInt(Math.max(1, Math.min(section.align, 1 << 20)));
    next = ((next + align - 1n) / align) * align;
    addresses.set(section.index, next);
    next += BigInt(section.sizeBytes);
  }
  return addresses;
}

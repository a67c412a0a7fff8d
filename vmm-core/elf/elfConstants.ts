/**
 * Values of the ELF gABI (System V ABI, chapter 4 and 5) and of its GNU extensions, spelled as <elf.h> spells
 * them.
 */

export const EI_CLASS = 4;
export const EI_DATA = 5;
export const EI_VERSION = 6;
export const EI_OSABI = 7;
export const EI_NIDENT = 16;
export const ELFCLASS32 = 1;
export const ELFCLASS64 = 2;
export const ELFDATA2LSB = 1;
export const ELFDATA2MSB = 2;
export const EV_CURRENT = 1;

export const ET_NONE = 0;
export const ET_REL = 1;
export const ET_EXEC = 2;
export const ET_DYN = 3;
export const ET_CORE = 4;

export const EM_386 = 3;
export const EM_MIPS = 8;
export const EM_PPC64 = 21;
export const EM_S390 = 22;
export const EM_ARM = 40;
export const EM_X86_64 = 62;
export const EM_AARCH64 = 183;
export const EM_RISCV = 243;

/** Machines by the names their users know; only those met in practice. */
const MACHINE_NAMES: ReadonlyMap<number, string> = new Map([
  [0, 'no machine'],
  [2, 'SPARC'],
  [EM_386, 'i386'],
  [4, 'm68k'],
  [EM_MIPS, 'MIPS'],
  [15, 'PA-RISC'],
  [18, 'SPARC v8+'],
  [20, 'PowerPC'],
  [EM_PPC64, 'PowerPC64'],
  [EM_S390, 's390'],
  [EM_ARM, 'ARM'],
  [42, 'SuperH'],
  [43, 'SPARC v9'],
  [50, 'IA-64'],
  [EM_X86_64, 'x86-64'],
  [83, 'AVR'],
  [93, 'ARCompact'],
  [94, 'Xtensa'],
  [105, 'MSP430'],
  [EM_AARCH64, 'AArch64'],
  [189, 'MicroBlaze'],
  [EM_RISCV, 'RISC-V'],
  [247, 'BPF'],
  [252, 'C-SKY'],
  [258, 'LoongArch'],
  [0x9026, 'Alpha'],
]);

/** `x86-64`, or `EM_<0x1234>` for one we have no name for. */
export function machineName(machine: number): string {
  return MACHINE_NAMES.get(machine) ?? `EM_<0x${machine.toString(16)}>`;
}

const FILE_TYPE_NAMES: ReadonlyMap<number, string> = new Map([
  [ET_NONE, 'ET_NONE'],
  [ET_REL, 'ET_REL'],
  [ET_EXEC, 'ET_EXEC'],
  [ET_DYN, 'ET_DYN'],
  [ET_CORE, 'ET_CORE'],
]);

export function fileTypeName(type: number): string {
  return FILE_TYPE_NAMES.get(type) ?? `ET_<0x${type.toString(16)}>`;
}

export const PT_NULL = 0;
export const PT_LOAD = 1;
export const PT_DYNAMIC = 2;
export const PT_INTERP = 3;
export const PT_NOTE = 4;
export const PT_PHDR = 6;
export const PT_TLS = 7;
export const PT_GNU_EH_FRAME = 0x6474e550;
/** e_phnum when the real count is in section 0's sh_info. */
export const PN_XNUM = 0xffff;

export const PF_X = 1;
export const PF_W = 2;
export const PF_R = 4;

export const SHT_NULL = 0;
export const SHT_PROGBITS = 1;
export const SHT_SYMTAB = 2;
export const SHT_STRTAB = 3;
export const SHT_RELA = 4;
export const SHT_NOTE = 7;
export const SHT_NOBITS = 8;
export const SHT_REL = 9;
export const SHT_DYNSYM = 11;
export const SHT_SYMTAB_SHNDX = 18;

export const SHF_WRITE = 0x1;
export const SHF_ALLOC = 0x2;
export const SHF_EXECINSTR = 0x4;
export const SHF_TLS = 0x400;
export const SHF_COMPRESSED = 0x800;

export const SHN_UNDEF = 0;
export const SHN_LORESERVE = 0xff00;
export const SHN_ABS = 0xfff1;
export const SHN_COMMON = 0xfff2;
export const SHN_XINDEX = 0xffff;

export const ELFCOMPRESS_ZLIB = 1;
export const ELFCOMPRESS_ZSTD = 2;

export const STT_NOTYPE = 0;
export const STT_OBJECT = 1;
export const STT_FUNC = 2;
export const STT_SECTION = 3;
export const STT_FILE = 4;
export const STT_TLS = 6;
export const STT_GNU_IFUNC = 10;

export const STB_LOCAL = 0;
export const STB_GLOBAL = 1;
export const STB_WEAK = 2;

/** Type of the note named `GNU` whose descriptor is the build-id. */
export const NT_GNU_BUILD_ID = 3;

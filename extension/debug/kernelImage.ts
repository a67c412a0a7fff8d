/** Tells a kernel image from other files by its first bytes. Pure. */

/** Enough for the header of a bzImage, which is the one that reaches furthest. */
export const KERNEL_HEADER_BYTES = 0x208;

/** ELF gABI, chapter 4; psABI for the machine numbers. */
const ELF_MAGIC = [0x7f, 0x45, 0x4c, 0x46];
const EI_DATA = 5;
const ELFDATA2LSB = 1;
/** Up to and including e_machine. */
const ELF_IDENTIFYING_BYTES = 20;
const E_TYPE = 16;
const E_MACHINE = 18;
const ET_EXEC = 2;
const EM_386 = 3;
const EM_X86_64 = 62;
/** Linux Documentation/arch/x86/boot.rst: "HdrS" at 0x202. */
const BZIMAGE_MAGIC = [0x48, 0x64, 0x72, 0x53];
const BZIMAGE_MAGIC_OFFSET = 0x202;

/**
 * Whether a VM could boot it: a bzImage, or an x86 ELF file at fixed addresses. Position-independent files
 * are left out, since those in a workspace are programs and libraries; a position-independent kernel is
 * booted by naming it.
 */
export function isKernelImage(header: Uint8Array): boolean {
  if (matches(header, BZIMAGE_MAGIC_OFFSET, BZIMAGE_MAGIC)) return true;
  if (header.length < ELF_IDENTIFYING_BYTES || !matches(header, 0, ELF_MAGIC)) return false;
  if (header[EI_DATA] !== ELFDATA2LSB) return false;
  const machine = word(header, E_MACHINE);
  return word(header, E_TYPE) === ET_EXEC && (machine === EM_386 || machine === EM_X86_64);
}

function matches(bytes: Uint8Array, offset: number, expected: readonly number[]): boolean {
  return expected.every((it, i) => bytes[offset + i] === it);
}

function word(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] ?? 0) | ((bytes[offset + 1] ?? 0) << 8);
}

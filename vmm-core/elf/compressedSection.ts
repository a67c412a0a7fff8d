/**
 * Compressed sections: SHF_COMPRESSED with an Elf_Chdr (gABI chapter 4), and the older `.zdebug_…` of GNU
 * tools.
 */
import { ELFCOMPRESS_ZLIB, ELFCOMPRESS_ZSTD, SHF_COMPRESSED } from './elfConstants.ts';
import { ElfError } from './elfError.ts';
import { type ElfFile, type SectionHeader, sectionBytes } from './elfFile.ts';
import { ElfReader } from './elfReader.ts';

/**
 * The caller brings the decompressors: this folder has no dependencies. Each must return exactly `sizeBytes`
 * bytes or throw, and never produce more.
 */
export interface Decompressors {
  readonly zlib?: (compressed: Uint8Array, sizeBytes: number) => Uint8Array;
  readonly zstd?: (compressed: Uint8Array, sizeBytes: number) => Uint8Array;
}

/**
 * A section that says it is larger than this many times its compressed size is broken: deflate cannot do
 * better than 1032:1, zstd not better than a block of 128 KiB from 4 bytes (RFC 8878 §3.1.1.2.2).
 */
const MAX_RATIO = { zlib: 1100, zstd: 32768 } as const;

export function isCompressed(section: SectionHeader): boolean {
  return (section.flags & SHF_COMPRESSED) !== 0 || section.name.startsWith('.zdebug_');
}

/**
 * Debug information shrinks to a quarter or a fifth; a file whose sections claim more than this was made to
 * exhaust memory.
 */
const MAX_GROWTH = 32;
const ALWAYS_ALLOWED_BYTES = 64 << 20;

/** The total size that a file's compressed sections may expand to. */
export function decompressionBudget(elf: ElfFile): number {
  return mayBecomeBytes(elf.source.sizeBytes);
}

/** The most that compressed data of that size is unpacked to. */
export function mayBecomeBytes(sizeBytes: number): number {
  return ALWAYS_ALLOWED_BYTES + MAX_GROWTH * sizeBytes;
}

/** A section's contents, decompressed if need be, then at most `maxBytes`. Throws ElfError. */
export function uncompressedBytes(
  elf: ElfFile,
  section: SectionHeader,
  decompressors: Decompressors,
  maxBytes = decompressionBudget(elf),
): Uint8Array {
  if (!isCompressed(section)) return sectionBytes(elf, section);
  const bytes = sectionBytes(elf, section);
  const at = new ElfReader(bytes, elf.is64, elf.littleEndian, section.offset);
  return (section.flags & SHF_COMPRESSED) !== 0
    ? fromHeader(at, section, decompressors, maxBytes)
    : fromZdebug(at, section, decompressors, maxBytes);
}

/** Elf32_Chdr {type, size, align}; Elf64_Chdr {type, reserved, size, align}. */
function fromHeader(
  at: ElfReader,
  section: SectionHeader,
  { zlib, zstd }: Decompressors,
  maxBytes: number,
): Uint8Array {
  const type = at.u32(0);
  const data = at.bytes.subarray(at.is64 ? 24 : 12);
  const sizeBytes = at.word(at.is64 ? 8 : 4);
  const claim = { section, data, sizeBytes, maxBytes };
  if (type === ELFCOMPRESS_ZLIB) return decompress(zlib, 'zlib', claim);
  if (type === ELFCOMPRESS_ZSTD) return decompress(zstd, 'zstd', claim);
  throw new ElfError(`section ${section.name} has unknown compression ${type}`, section.offset);
}

/** "ZLIB", then the size as 8 bytes big endian whatever the file's byte order. */
function fromZdebug(
  at: ElfReader,
  section: SectionHeader,
  { zlib }: Decompressors,
  maxBytes: number,
): Uint8Array {
  const { bytes } = at;
  if (bytes.length < 12 || String.fromCharCode(...bytes.subarray(0, 4)) !== 'ZLIB') {
    throw new ElfError(`section ${section.name} does not start with ZLIB`, section.offset);
  }
  const bigEndian = new ElfReader(bytes, true, false, section.offset);
  const claim = { section, data: bytes.subarray(12), sizeBytes: bigEndian.word(4), maxBytes };
  return decompress(zlib, 'zlib', claim);
}

/** What a section's header claims, and how large it may be. */
interface Claim {
  readonly section: SectionHeader;
  readonly data: Uint8Array;
  readonly sizeBytes: number;
  readonly maxBytes: number;
}

function decompress(
  decompressor: Decompressors['zlib'],
  method: keyof typeof MAX_RATIO,
  { section, data, sizeBytes, maxBytes }: Claim,
): Uint8Array {
  if (decompressor === undefined) {
    throw new ElfError(
      `section ${section.name} is compressed with ${method}, which is not available here`,
      section.offset,
    );
  }
  if (sizeBytes > data.length * MAX_RATIO[method]) {
    throw new ElfError(
      `section ${section.name} claims ${sizeBytes} bytes from ${data.length}`,
      section.offset,
    );
  }
  if (sizeBytes > maxBytes) {
    throw new ElfError(
      `section ${section.name} claims ${sizeBytes} bytes once decompressed, more than the ${maxBytes} a file of this size may need`,
      section.offset,
    );
  }
  let bytes: Uint8Array;
  try {
    bytes = decompressor(data, sizeBytes);
  } catch (cause) {
    throw new ElfError(
      `section ${section.name}: ${method} data is broken (${String(cause)})`,
      section.offset,
    );
  }
  if (bytes.length !== sizeBytes) {
    throw new ElfError(
      `section ${section.name} is ${bytes.length} bytes, its header says ${sizeBytes}`,
      section.offset,
    );
  }
  return bytes;
}

/** The entry point, separate from the interface so that the parts of an image may import the interface. */
import type { ByteSource } from '../../vmm-core/elf/byteSource.ts';
import { ElfSymbolImage } from './elfSymbolImage.ts';
import type { SymbolImageOptions, SymbolImage } from './symbolImage.ts';

/** Throws ElfError when `source` is not a readable ELF file. Debug information may be missing or broken. */
export function openSymbolImage(source: ByteSource, options: SymbolImageOptions = {}): SymbolImage {
  return new ElfSymbolImage(source, options);
}

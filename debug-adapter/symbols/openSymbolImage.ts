/** The way in: apart from the interface, so that what an image is made of may import that. */
import type { ByteSource } from '../../vmm-core/elf/byteSource.ts';
import { ElfSymbolImage } from './elfSymbolImage.ts';
import type { SymbolImageOptions, SymbolImage } from './symbolImage.ts';

/** Throws ElfError when `source` is not a readable ELF file. Debug information may be missing or broken. */
export function openSymbolImage(source: ByteSource, options: SymbolImageOptions = {}): SymbolImage {
  return new ElfSymbolImage(source, options);
}

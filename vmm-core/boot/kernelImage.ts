/** The kernel's file as loaders tell it by: its first bytes, and its ELF headers. */
import { MULTIBOOT_SEARCH } from '../abi/multiboot.ts';
import type { BootProtocol } from '../config/settings/boot.ts';
import { readBytes, type ByteSource } from '../elf/byteSource.ts';
import { type ElfFile, isElf } from '../elf/elfFile.ts';
import { wrongProtocol } from './bootError.ts';
import { openElf } from './elfImage.ts';

/** The multiboot header is the one that may be furthest from the beginning. */
const HEAD_BYTES = MULTIBOOT_SEARCH;

export class KernelImage {
  readonly source: ByteSource;
  readonly head: Uint8Array;
  #elf: ElfFile | undefined;

  constructor(source: ByteSource) {
    this.source = source;
    this.head = readBytes(source, 0, Math.min(source.sizeBytes, HEAD_BYTES));
  }

  get name(): string {
    return this.source.name;
  }

  /**
   * Undefined for a file that is not an ELF. Throws BootError for one that cannot be started here, by
   * whatever protocol.
   */
  elf(): ElfFile | undefined {
    if (this.#elf === undefined && isElf(this.head)) this.#elf = openElf(this.source);
    return this.#elf;
  }

  /** For a protocol that was asked for. */
  requireElf(protocol: BootProtocol): ElfFile {
    const elf = this.elf();
    if (elf === undefined) throw wrongProtocol(this.name, protocol, 'it is not an ELF file');
    return elf;
  }
}

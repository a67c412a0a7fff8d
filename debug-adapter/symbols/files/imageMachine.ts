/**
 * Which machine an image's debug information is for. The header says it, except for 64-bit code in a 32-bit
 * file: `objcopy -O elf32-i386` makes those for QEMU's `-kernel`, which refuses 64-bit multiboot kernels.
 * Registers, pointers and frames are then those of the 64-bit machine.
 */
import { EM_386, EM_X86_64, machineName } from '../../../vmm-core/elf/elfConstants.ts';
import type { ElfFile } from '../../../vmm-core/elf/elfFile.ts';
import { DwarfError } from '../../dwarf/dwarfError.ts';
import type { DwarfFile } from '../../dwarf/dwarfFile.ts';
import { readUnitHeader } from '../../dwarf/unitHeader.ts';

export interface ImageMachine {
  /** EM_ */
  readonly number: number;
  readonly name: string;
  readonly addressSize: 4 | 8;
}

/** Opening a file reads at most this many unit headers. */
const MAX_HEADERS = 16;

export function imageMachine(elf: ElfFile, dwarf: DwarfFile): ImageMachine {
  const own = { number: elf.machine, name: elf.machineName, addressSize: elf.is64 ? 8 : 4 } as const;
  const isRepacked = elf.machine === EM_386 && hasLongAddresses(dwarf);
  return isRepacked ? { number: EM_X86_64, name: machineName(EM_X86_64), addressSize: 8 } : own;
}

/** Whether a unit among the first has addresses of 8 bytes. */
function hasLongAddresses(dwarf: DwarfFile): boolean {
  const section = dwarf.section('.debug_info');
  if (section === undefined) return false;
  try {
    for (let offset = 0, count = 0; offset < section.sizeBytes && count < MAX_HEADERS; count++) {
      const { addressSize, endOffset } = readUnitHeader(section, offset);
      if (addressSize === 8) return true;
      offset = endOffset;
    }
  } catch (error) {
    // The code that reads that unit will report it.
    if (!(error instanceof DwarfError)) throw error;
  }
  return false;
}

/**
 * PVH: an ELF whose note of owner "Xen" names a 32-bit entry point. Xen's docs/misc/pvh.pandoc for the
 * registers, public/arch-x86/hvm/start_info.h for the structures. Stock Linux, FreeBSD and several unikernels
 * carry the note.
 */
import {
  HvmMemmapTableEntry,
  HvmModlistEntry,
  HvmStartInfo,
  XEN_ELFNOTE_OWNER,
  XEN_ELFNOTE_PHYS32_ENTRY,
  XEN_HVM_START_MAGIC_VALUE,
} from '../abi/hvmStartInfo.ts';
import { RFLAGS_RESERVED1 } from '../abi/x86.ts';
import type { ByteSource } from '../elf/byteSource.ts';
import type { ElfFile } from '../elf/elfFile.ts';
import { elfNotes } from '../elf/elfNotes.ts';
import { type GuestMemory, gpa } from '../memory/guestMemory.ts';
import { PVH_MEMORY_MAP, PVH_MODULE_LIST, PVH_START_INFO } from '../memory/layout.ts';
import { badEntry, imageDamaged, wrongProtocol } from './bootError.ts';
import type { BootPlatform, BootRequest } from './bootRequest.ts';
import type { StartState } from './bootState.ts';
import { encodeCommandLine, writeCommandLine } from './cmdline.ts';
import { elfRegions, orDamaged } from './elfImage.ts';
import { type ImageRegion, checkRegions, loadRegions } from './imageRegions.ts';
import { type PlacedInitrd, loadInitrd, placeInitrd } from './initrd.ts';
import type { KernelImage } from './kernelImage.ts';
import { kernelLoader } from './kernelLoader.ts';
import { enterProtectedMode } from './protectedMode.ts';

const START_INFO_VERSION = 1;

export const PVH = kernelLoader({
  setting: 'pvh',
  name: 'PVH',
  matches(image) {
    const elf = image.elf();
    return elf !== undefined && pvhEntry(image.source, elf) !== undefined;
  },
  locate,
  load,
});

interface PvhKernel {
  readonly busy: readonly ImageRegion[];
  readonly entry: number;
  readonly commandLine: Uint8Array;
  readonly initrd: PlacedInitrd | undefined;
}

function locate(image: KernelImage, { kernel, cmdline, initrd, memory }: BootRequest): PvhKernel {
  const elf = image.requireElf('pvh');
  const entry = pvhEntry(kernel, elf);
  if (entry === undefined) throw wrongProtocol(kernel.name, 'pvh', 'no ELF note of owner Xen and type 18');
  const regions = elfRegions(kernel, elf, memory);
  checkRegions(kernel, regions, memory);
  if (!regions.some(({ address, memoryBytes }) => entry >= address && entry < address + memoryBytes)) {
    throw badEntry(kernel.name, entry);
  }
  return {
    busy: regions,
    entry,
    commandLine: encodeCommandLine(cmdline),
    initrd: placeInitrd(initrd, memory, regions),
  };
}

/** The entry point the note names, or undefined when the image has no such note. */
function pvhEntry(kernel: ByteSource, elf: ElfFile): number | undefined {
  const notes = orDamaged(kernel, () => elfNotes(elf));
  const note = notes.find(
    ({ name, type }) => name === XEN_ELFNOTE_OWNER && type === XEN_ELFNOTE_PHYS32_ENTRY,
  );
  if (note === undefined) return undefined;
  const { descriptor } = note;
  const view = new DataView(descriptor.buffer, descriptor.byteOffset, descriptor.byteLength);
  if (view.byteLength === 4) return view.getUint32(0, true);
  if (view.byteLength === 8) return Number(view.getBigUint64(0, true));
  throw imageDamaged(kernel.name, `its PVH note has ${view.byteLength} bytes where 4 or 8 belong`);
}

function load({ kernel, memory }: BootRequest, located: PvhKernel, platform: BootPlatform): StartState {
  const { busy, initrd } = located;
  const { area } = platform;
  const entry = BigInt(located.entry);
  const stack = area.placeStack();
  const commandLine = writeCommandLine(memory, area, located.commandLine);
  loadInitrd(initrd, memory);
  loadRegions(kernel, busy, memory);
  const startInfo = writeStartInfo(memory, platform, commandLine, initrd);
  return {
    regs: { rip: entry, rbx: BigInt(startInfo), rsp: BigInt(stack), rflags: RFLAGS_RESERVED1 },
    sregs: enterProtectedMode(memory, area),
    entry,
  };
}

/** Returns its address, which the kernel gets in EBX. */
function writeStartInfo(
  memory: GuestMemory,
  { area, rsdp, memoryMap: map }: BootPlatform,
  commandLine: number,
  initrd: PlacedInitrd | undefined,
): number {
  const startInfo = area.place(PVH_START_INFO, HvmStartInfo.size);
  const moduleList = area.place(PVH_MODULE_LIST, HvmModlistEntry.size);
  const memoryMap = area.place(PVH_MEMORY_MAP, map.length * HvmMemmapTableEntry.size);
  memory.write(
    gpa(startInfo),
    HvmStartInfo.bytes({
      magic: XEN_HVM_START_MAGIC_VALUE,
      version: START_INFO_VERSION,
      nr_modules: initrd === undefined ? 0 : 1,
      modlist_paddr: BigInt(initrd === undefined ? 0 : moduleList),
      cmdline_paddr: BigInt(commandLine),
      rsdp_paddr: BigInt(rsdp),
      memmap_paddr: BigInt(memoryMap),
      memmap_entries: map.length,
    }),
  );
  if (initrd !== undefined) {
    const values = { paddr: BigInt(initrd.address), size: BigInt(initrd.sizeBytes) };
    memory.write(gpa(moduleList), HvmModlistEntry.bytes(values));
  }
  map.forEach(({ address, sizeBytes, type }, index) => {
    const values = { addr: BigInt(address), size: BigInt(sizeBytes), type };
    memory.write(gpa(memoryMap + index * HvmMemmapTableEntry.size), HvmMemmapTableEntry.bytes(values));
  });
  return startInfo;
}

/**
 * Multiboot 1 (Multiboot Specification 0.6.96). The kernel says by a header in its first 8 KiB that it wants
 * to be entered in 32-bit protected mode with EBX pointing at what we know of the machine. ELF32, ELF64 and
 * headers with load addresses.
 */
import type { E820Entry } from '../abi/e820.ts';
import {
  MULTIBOOT_AOUT_KLUDGE,
  MULTIBOOT_BOOTLOADER_MAGIC,
  MULTIBOOT_HEADER_BASIC_BYTES,
  MULTIBOOT_HEADER_MAGIC,
  MULTIBOOT_INFO_BOOT_LOADER_NAME,
  MULTIBOOT_INFO_CMDLINE,
  MULTIBOOT_INFO_MEMORY,
  MULTIBOOT_INFO_MEM_MAP,
  MULTIBOOT_INFO_MODS,
  MULTIBOOT_MEMORY_INFO,
  MULTIBOOT_PAGE_ALIGN,
  MULTIBOOT_SEARCH,
  MULTIBOOT_VIDEO_MODE,
  MultibootHeader,
  MultibootInfo,
  MultibootMmapEntry,
  MultibootModule,
} from '../abi/multiboot.ts';
import { RFLAGS_RESERVED1 } from '../abi/x86.ts';
import type { ByteSource } from '../elf/byteSource.ts';
import { type GuestMemory, gpa } from '../memory/guestMemory.ts';
import { CONVENTIONAL_RAM_END, HIGH_RAM_BASE, KIB, MULTIBOOT_INFO, lowRamEnd } from '../memory/layout.ts';
import type { BootArea } from './bootArea.ts';
import { badEntry, imageDamaged, imageUnsupported, wrongProtocol } from './bootError.ts';
import { type BootPlatform, type BootRequest, baseName } from './bootRequest.ts';
import type { StartState } from './bootState.ts';
import { encodeCommandLine, writeCommandLine } from './cmdline.ts';
import { elfEntry, elfRegions } from './elfImage.ts';
import { type ImageRegion, checkRegions, loadRegions } from './imageRegions.ts';
import { type PlacedInitrd, loadInitrd, placeInitrd } from './initrd.ts';
import type { KernelImage } from './kernelImage.ts';
import { kernelLoader } from './kernelLoader.ts';
import { enterProtectedMode } from './protectedMode.ts';

// Bits 0 to 15 of the flags are requirements: an unknown one must be refused (§3.1.2).
const REQUIREMENTS = 0xffff;
const KNOWN_REQUIREMENTS = MULTIBOOT_PAGE_ALIGN | MULTIBOOT_MEMORY_INFO | MULTIBOOT_VIDEO_MODE;

const LOADER_NAME = 'Trapframe';

export interface FoundHeader {
  /** Of the header in the file. */
  readonly offset: number;
  readonly values: ReturnType<typeof MultibootHeader.read>;
}

/** `head` is the beginning of the file. The first place where magic and checksum agree is the header. */
export function findMultibootHeader(head: Uint8Array): FoundHeader | undefined {
  const view = new DataView(head.buffer, head.byteOffset, Math.min(head.byteLength, MULTIBOOT_SEARCH));
  for (let offset = 0; offset + MULTIBOOT_HEADER_BASIC_BYTES <= view.byteLength; offset += 4) {
    if (view.getUint32(offset, true) !== MULTIBOOT_HEADER_MAGIC) continue;
    const header = new Uint8Array(MultibootHeader.size);
    header.set(head.subarray(offset, offset + header.length));
    const values = MultibootHeader.read(new DataView(header.buffer));
    if (((values.magic + values.flags + values.checksum) >>> 0) % 2 ** 32 === 0) return { offset, values };
  }
  return undefined;
}

export const MULTIBOOT = kernelLoader({
  setting: 'multiboot',
  name: 'multiboot',
  takesInitrdArguments: true,
  matches: ({ head }) => findMultibootHeader(head) !== undefined,
  locate,
  load,
});

interface MultibootKernel {
  readonly busy: readonly ImageRegion[];
  readonly entry: bigint;
  readonly commandLine: Uint8Array;
  readonly module: PlacedInitrd | undefined;
}

function locate(image: KernelImage, request: BootRequest): MultibootKernel {
  const { kernel, memory } = request;
  const header = findMultibootHeader(image.head);
  if (header === undefined)
    throw wrongProtocol(kernel.name, 'multiboot', 'no multiboot header in the first 8 KiB');
  refuseUnknownRequirements(kernel, header);
  const { regions, entry } = locateImage(image, header, memory);
  // The first word is the image's name, as QEMU and GRUB Legacy pass it: kernels skip it when they parse
  // options.
  const commandLine = encodeCommandLine(`${baseName(kernel.name)} ${request.cmdline}`.trimEnd());
  const module = placeInitrd(request.initrd, memory, regions);
  return { busy: regions, entry, commandLine, module };
}

/** The RSDP is found by the scan for it: multiboot 1 has no field for its address. */
function load(request: BootRequest, located: MultibootKernel, { area, memoryMap }: BootPlatform): StartState {
  const { kernel, memory } = request;
  const { busy, entry, module } = located;
  const stack = area.placeStack();
  const commandLine = writeCommandLine(memory, area, located.commandLine);
  loadInitrd(module, memory);
  loadRegions(kernel, busy, memory);
  const contents = { commandLine, module, moduleString: moduleString(request), memoryMap };
  const information = writeInformation(memory, area, contents);
  return {
    regs: {
      rip: entry,
      rax: BigInt(MULTIBOOT_BOOTLOADER_MAGIC),
      rbx: BigInt(information),
      rsp: BigInt(stack),
      rflags: RFLAGS_RESERVED1,
    },
    sregs: enterProtectedMode(memory, area),
    entry,
  };
}

function refuseUnknownRequirements(kernel: ByteSource, { values }: FoundHeader): void {
  const unknown = values.flags & REQUIREMENTS & ~KNOWN_REQUIREMENTS;
  if (unknown === 0) return;
  const what = `has a multiboot header with unknown requirements (flags 0x${unknown.toString(16)})`;
  throw imageUnsupported(kernel.name, what, 'clear those flags');
}

/** Checked: the regions are RAM, the entry point is in them. */
interface LocatedImage {
  readonly regions: readonly ImageRegion[];
  readonly entry: bigint;
}

/**
 * The header's addresses come first (§3.1.3: use them "instead of the fields in the actual executable
 * header"), then ELF's.
 */
function locateImage(image: KernelImage, header: FoundHeader, memory: GuestMemory): LocatedImage {
  const kernel = image.source;
  if ((header.values.flags & MULTIBOOT_AOUT_KLUDGE) !== 0) {
    const located = locateByAddresses(kernel, header);
    checkRegions(kernel, located.regions, memory);
    return located;
  }
  const elf = image.elf();
  if (elf === undefined) {
    throw imageUnsupported(
      kernel.name,
      'has a multiboot header without load addresses and is not an ELF file',
      'set flag 16 and the address fields, or link it as ELF',
    );
  }
  const regions = elfRegions(kernel, elf, memory);
  checkRegions(kernel, regions, memory);
  return { regions, entry: elfEntry(kernel, elf) };
}

/**
 * §3.1.3: one contiguous piece of the file, then bss. A zero load_end_addr means the whole file, a zero
 * bss_end_addr no bss.
 */
function locateByAddresses(kernel: ByteSource, { offset, values }: FoundHeader): LocatedImage {
  const { header_addr, load_addr, bss_end_addr, entry_addr } = values;
  const fileOffset = offset - (header_addr - load_addr);
  const loadEnd = values.load_end_addr || load_addr + (kernel.sizeBytes - fileOffset);
  const end = bss_end_addr || loadEnd;
  if (fileOffset < 0 || header_addr < load_addr || loadEnd <= load_addr || end < loadEnd) {
    throw imageDamaged(kernel.name, 'the addresses in its multiboot header contradict each other');
  }
  if (entry_addr < load_addr || entry_addr >= end) throw badEntry(kernel.name, entry_addr);
  const region = {
    address: load_addr,
    fileOffset,
    fileBytes: loadEnd - load_addr,
    memoryBytes: end - load_addr,
  };
  return { regions: [region], entry: BigInt(entry_addr) };
}

/** §3.3 `string`: the module's name, then its arguments, as QEMU and GRUB Legacy pass it. */
function moduleString({ initrd, initrdArguments }: BootRequest): string {
  return `${baseName(initrd?.name ?? '')} ${initrdArguments ?? ''}`.trimEnd();
}

interface Information {
  /** Its address. */
  readonly commandLine: number;
  readonly module: PlacedInitrd | undefined;
  readonly moduleString: string;
  readonly memoryMap: readonly E820Entry[];
}

/** Returns its address, which the kernel gets in EBX. */
function writeInformation(
  memory: GuestMemory,
  area: BootArea,
  { commandLine, module, moduleString, memoryMap: map }: Information,
): number {
  const information = area.place(MULTIBOOT_INFO, MultibootInfo.size);
  const mapAddress = area.place(MULTIBOOT_INFO, map.length * MultibootMmapEntry.size);
  memory.write(
    gpa(information),
    MultibootInfo.bytes({
      flags:
        MULTIBOOT_INFO_MEMORY |
        MULTIBOOT_INFO_CMDLINE |
        MULTIBOOT_INFO_MODS |
        MULTIBOOT_INFO_MEM_MAP |
        MULTIBOOT_INFO_BOOT_LOADER_NAME,
      mem_lower: CONVENTIONAL_RAM_END / KIB,
      mem_upper: Math.floor((lowRamEnd(memory.slots) - HIGH_RAM_BASE) / KIB),
      cmdline: commandLine,
      mods_count: module === undefined ? 0 : 1,
      mods_addr: module === undefined ? 0 : writeModule(memory, area, module, moduleString),
      mmap_length: map.length * MultibootMmapEntry.size,
      mmap_addr: mapAddress,
      boot_loader_name: writeString(memory, area, LOADER_NAME),
    }),
  );
  map.forEach(({ address, sizeBytes, type }, index) => {
    const values = {
      size: MultibootMmapEntry.size - 4,
      addr: BigInt(address),
      len: BigInt(sizeBytes),
      type,
    };
    memory.write(gpa(mapAddress + index * MultibootMmapEntry.size), MultibootMmapEntry.bytes(values));
  });
  return information;
}

function writeModule(memory: GuestMemory, area: BootArea, module: PlacedInitrd, text: string): number {
  const address = area.place(MULTIBOOT_INFO, MultibootModule.size);
  memory.write(
    gpa(address),
    MultibootModule.bytes({
      mod_start: module.address,
      mod_end: module.address + module.sizeBytes,
      cmdline: writeString(memory, area, text),
    }),
  );
  return address;
}

/** NUL-terminated. Returns its address. */
function writeString(memory: GuestMemory, area: BootArea, text: string): number {
  const bytes = new TextEncoder().encode(text);
  const address = area.place(MULTIBOOT_INFO, bytes.length + 1);
  memory.write(gpa(address), bytes);
  memory.writeU8(gpa(address + bytes.length), 0);
  return address;
}

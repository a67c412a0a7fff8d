/**
 * ELF64 started by Linux's 64-bit boot protocol: Linux's own vmlinux, and kernels that want to start in long
 * mode without a header of any kind. Documentation/arch/x86/boot.rst, "64-bit Boot Protocol": RSI = zero
 * page, first 4 GiB mapped one to one.
 */
import { BootParams, LOADED_HIGH, XLF_KERNEL_64 } from '../abi/bootParams.ts';
import { RFLAGS_RESERVED1 } from '../abi/x86.ts';
import { PAGE_BYTES } from '../memory/layout.ts';
import { imageUnsupported } from './bootError.ts';
import type { BootPlatform, BootRequest } from './bootRequest.ts';
import type { StartState } from './bootState.ts';
import { encodeCommandLine, writeCommandLine } from './cmdline.ts';
import { elfEntry, elfRegions } from './elfImage.ts';
import { type ImageRegion, checkRegions, loadRegions } from './imageRegions.ts';
import { type PlacedInitrd, loadInitrd, placeInitrd } from './initrd.ts';
import type { KernelImage } from './kernelImage.ts';
import { kernelLoader } from './kernelLoader.ts';
import { enterLongMode } from './longMode.ts';
import { writeZeroPage } from './zeroPage.ts';

// An ELF carries no setup_header; these are the values of every x86-64 Linux with boot protocol 2.15.
const PROTOCOL_VERSION = 0x020f;
const COMMAND_LINE_BYTES = 2047; // COMMAND_LINE_SIZE - 1
const INITRD_ADDR_MAX = 0x7fff_ffff;
const KERNEL_ALIGNMENT = 0x100_0000; // must not be 0

export const LINUX64 = kernelLoader({
  setting: 'linux64',
  name: 'linux64',
  matches: (image) => image.elf() !== undefined,
  locate,
  load,
});

interface Linux64Kernel {
  readonly busy: readonly ImageRegion[];
  readonly entry: bigint;
  readonly commandLine: Uint8Array;
  readonly initrd: PlacedInitrd | undefined;
}

function locate(image: KernelImage, { kernel, cmdline, initrd, memory }: BootRequest): Linux64Kernel {
  const elf = image.requireElf('linux64');
  if (!elf.is64) {
    throw imageUnsupported(
      kernel.name,
      'is a 32-bit ELF with neither a multiboot header nor a PVH note',
      'add a multiboot header, or build it for x86-64',
    );
  }
  const regions = elfRegions(kernel, elf, memory);
  checkRegions(kernel, regions, memory);
  return {
    busy: regions,
    entry: elfEntry(kernel, elf),
    commandLine: encodeCommandLine(cmdline, COMMAND_LINE_BYTES),
    initrd: placeInitrd(initrd, memory, regions, INITRD_ADDR_MAX),
  };
}

function load({ kernel, memory }: BootRequest, located: Linux64Kernel, platform: BootPlatform): StartState {
  const { busy, entry, initrd } = located;
  const { area } = platform;
  const stack = area.placeStack();
  const commandLine = writeCommandLine(memory, area, located.commandLine);
  loadInitrd(initrd, memory);
  loadRegions(kernel, busy, memory);
  const contents = { template: setupHeader(), code32Start: 0, commandLine, initrd };
  const zeroPage = writeZeroPage(memory, platform, contents);
  return {
    regs: { rip: entry, rsi: BigInt(zeroPage), rsp: BigInt(stack), rflags: RFLAGS_RESERVED1 },
    sregs: enterLongMode(memory, area),
    entry,
  };
}

function setupHeader(): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES);
  BootParams.write(new DataView(page.buffer), {
    version: PROTOCOL_VERSION,
    loadflags: LOADED_HIGH,
    xloadflags: XLF_KERNEL_64,
    initrd_addr_max: INITRD_ADDR_MAX,
    kernel_alignment: KERNEL_ALIGNMENT,
    cmdline_size: COMMAND_LINE_BYTES,
  });
  return page;
}

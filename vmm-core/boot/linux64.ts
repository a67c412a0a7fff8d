/**
 * ELF64 started by Linux's 64-bit boot protocol: Linux's own vmlinux, and kernels that want to start in long mode without a
 * header of any kind. Documentation/arch/x86/boot.rst, "64-bit Boot Protocol": RSI = zero page, first 4 GiB mapped one to one.
 */
import { RFLAGS_RESERVED1 } from '../abi/x86.ts';
import type { ElfFile } from '../elf/elfFile.ts';
import { PAGE_BYTES } from '../memory/layout.ts';
import { BootArea } from './bootArea.ts';
import { imageUnsupported } from './bootError.ts';
import { BootParams, LOADED_HIGH, XLF_KERNEL_64 } from '../abi/bootParams.ts';
import type { BootRequest } from './bootRequest.ts';
import type { BootState } from './bootState.ts';
import { writeCommandLine } from './cmdline.ts';
import { elfEntry, elfRegions } from './elfImage.ts';
import { writeFirmwareTables } from '../firmware/firmwareTables.ts';
import { PC_CHIPS } from '../firmware/pcChips.ts';
import { checkRegions, loadRegions } from './imageRegions.ts';
import { loadInitrd } from './initrd.ts';
import { enterLongMode } from './longMode.ts';
import { writeZeroPage } from './zeroPage.ts';

// An ELF carries no setup_header; these are the values of every x86-64 Linux with boot protocol 2.15.
const PROTOCOL_VERSION = 0x020f;
const COMMAND_LINE_BYTES = 2047; // COMMAND_LINE_SIZE - 1
const INITRD_ADDR_MAX = 0x7fff_ffff;
const KERNEL_ALIGNMENT = 0x100_0000; // must not be 0

export function loadLinux64(request: BootRequest, elf: ElfFile): BootState {
  const { kernel, initrd, memory } = request;
  if (!elf.is64) {
    throw imageUnsupported(
      kernel.name,
      'is a 32-bit ELF with neither a multiboot header nor a PVH note',
      'add a multiboot header, or build it for x86-64',
    );
  }
  const regions = elfRegions(kernel, elf, memory);
  checkRegions(kernel, regions, memory);
  const entry = elfEntry(kernel, elf);

  const area = new BootArea(kernel.name, regions);
  const stack = area.placeStack();
  const commandLine = writeCommandLine(memory, area, request.cmdline, COMMAND_LINE_BYTES);
  const placedInitrd = loadInitrd(initrd, memory, regions, INITRD_ADDR_MAX);
  const rsdp = writeFirmwareTables(memory, area, { cpus: request.cpus, chips: PC_CHIPS });
  loadRegions(kernel, regions, memory);
  const zeroPage = writeZeroPage(memory, area, {
    template: setupHeader(),
    code32Start: 0,
    commandLine,
    initrd: placedInitrd,
    rsdp,
  });
  return {
    regs: { rip: entry, rsi: BigInt(zeroPage), rsp: BigInt(stack), rflags: RFLAGS_RESERVED1 },
    sregs: enterLongMode(memory, area),
    entry,
    protocol: 'linux64',
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

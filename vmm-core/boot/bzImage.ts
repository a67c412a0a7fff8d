/**
 * Linux bzImage, Documentation/arch/x86/boot.rst. The real-mode part of the file is never run: its
 * setup_header is copied into the zero page, the rest is loaded at 1 MiB and entered in long mode where the
 * kernel allows it (2.12), else in protected mode.
 */
import {
  BOOT_FLAG,
  BootParams,
  LOADED_HIGH,
  SECTOR_BYTES,
  SETUP_HEADER_BEFORE,
  SETUP_HEADER_END_MAX,
  SETUP_HEADER_MAGIC,
  SETUP_HEADER_OFFSET,
  SETUP_SECTS_DEFAULT,
  XLF_KERNEL_64,
} from '../abi/bootParams.ts';
import { RFLAGS_RESERVED1 } from '../abi/x86.ts';
import type { ByteSource } from '../elf/byteSource.ts';
import type { GuestMemory } from '../memory/guestMemory.ts';
import { HIGH_RAM_BASE, HOLE_BASE, PAGE_BYTES } from '../memory/layout.ts';
import type { BusyRange } from './bootArea.ts';
import { claimsTooMuch, imageDamaged, needsMemory, needsRealMode, wrongProtocol } from './bootError.ts';
import type { BootPlatform, BootRequest } from './bootRequest.ts';
import type { StartState } from './bootState.ts';
import { encodeCommandLine, writeCommandLine } from './cmdline.ts';
import { type ImageRegion, checkRegions, isRam, loadRegions } from './imageRegions.ts';
import { type PlacedInitrd, loadInitrd, placeInitrd } from './initrd.ts';
import type { KernelImage } from './kernelImage.ts';
import { kernelLoader } from './kernelLoader.ts';
import { enterLongMode } from './longMode.ts';
import { enterProtectedMode } from './protectedMode.ts';
import { LINUX_SELECTORS } from './segments.ts';
import { writeZeroPage } from './zeroPage.ts';

const LOAD_ADDRESS = HIGH_RAM_BASE;
const PARAGRAPH_BYTES = 16; // syssize counts them
/**
 * syssize is the code and room for a checksum of 4 bytes (Linux's tools/build), rounded up: a file without
 * them is this much shorter.
 */
const SYSSIZE_SLACK_BYTES = PARAGRAPH_BYTES - 1 + 4;
const ENTRY_64_OFFSET = 0x200; // "64-bit Boot Protocol": the entry point is 0x200 after the load address
const OLDEST_VERSION = 0x0202; // cmd_line_ptr: before that the command line's place is in the real-mode part

const { boot_flag, jump, header: magic, version } = BootParams.fields;

export const BZ_IMAGE = kernelLoader({
  setting: 'bzimage',
  name: 'bzImage',
  matches: ({ head }) => hasSetupHeader(head),
  locate,
  load,
});

interface BzImage {
  /** The setup_header, in place in a zero page. */
  readonly template: Uint8Array;
  readonly payload: ImageRegion;
  readonly busy: readonly BusyRange[];
  readonly commandLine: Uint8Array;
  readonly initrd: PlacedInitrd | undefined;
  /** It may be entered in long mode. */
  readonly is64: boolean;
}

function locate({ head }: KernelImage, { kernel, cmdline, initrd, memory }: BootRequest): BzImage {
  if (!hasSetupHeader(head)) throw wrongProtocol(kernel.name, 'bzimage', 'no bzImage header at offset 0x1f1');
  const { template, header } = readSetupHeader(kernel, head);
  const payload = locatePayload(kernel, header);
  checkRegions(kernel, [payload], memory);
  const running = runtimeRange(header, payload);
  checkRuntimeRange(kernel, running, memory);
  const busy = [payload, running];
  return {
    template,
    payload,
    busy,
    commandLine: encodeCommandLine(cmdline, header.cmdline_size),
    initrd: placeInitrd(initrd, memory, busy, header.initrd_addr_max),
    is64: (header.xloadflags & XLF_KERNEL_64) !== 0,
  };
}

function load({ kernel, memory }: BootRequest, located: BzImage, platform: BootPlatform): StartState {
  const { template, payload, initrd, is64 } = located;
  const { area } = platform;
  const commandLine = writeCommandLine(memory, area, located.commandLine);
  loadInitrd(initrd, memory);
  loadRegions(kernel, [payload], memory);
  const contents = { template, code32Start: LOAD_ADDRESS, commandLine, initrd };
  const zeroPage = writeZeroPage(memory, platform, contents);
  const entry = BigInt(is64 ? LOAD_ADDRESS + ENTRY_64_OFFSET : LOAD_ADDRESS);
  return {
    regs: { rip: entry, rsi: BigInt(zeroPage), rflags: RFLAGS_RESERVED1 },
    sregs: is64 ? enterLongMode(memory, area) : enterProtectedMode(memory, area, LINUX_SELECTORS),
    entry,
  };
}

/** Of whatever version. */
function hasSetupHeader(head: Uint8Array): boolean {
  if (head.length < version.offset + version.lengthBytes) return false;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  return (
    view.getUint16(boot_flag.offset, true) === BOOT_FLAG &&
    view.getUint32(magic.offset, true) === SETUP_HEADER_MAGIC
  );
}

type SetupHeader = ReturnType<typeof BootParams.read>;

/** The header as a zero page's worth of bytes and as values, with defaults for what this version lacks. */
function readSetupHeader(
  kernel: ByteSource,
  head: Uint8Array,
): { template: Uint8Array; header: SetupHeader } {
  const end = setupHeaderEnd(head);
  if (end > head.length) throw imageDamaged(kernel.name, `it ends inside its header of ${end} bytes`);
  const template = new Uint8Array(PAGE_BYTES);
  template.set(head.subarray(SETUP_HEADER_OFFSET, end), SETUP_HEADER_OFFSET);
  const header = BootParams.read(new DataView(template.buffer));
  refuseRealMode(kernel, header);
  return { template, header: withDefaults(header) };
}

/** The header begins with a jump over itself: the byte after its opcode counts from behind it. */
function setupHeaderEnd(head: Uint8Array): number {
  const length = head[jump.offset + 1] ?? 0;
  return Math.min(jump.offset + jump.lengthBytes + length, SETUP_HEADER_END_MAX);
}

function refuseRealMode(kernel: ByteSource, { version, loadflags, code32_start }: SetupHeader): void {
  if (version < OLDEST_VERSION || (loadflags & LOADED_HIGH) === 0) {
    const text = `${version >> 8}.${(version & 0xff).toString().padStart(2, '0')}`;
    throw needsRealMode(kernel.name, `it is a Linux zImage or uses boot protocol ${text}`);
  }
  // iPXE's and Syslinux' images: only the real-mode part knows how to start the rest.
  if (code32_start === 0) throw needsRealMode(kernel.name, 'its header has no code32_start');
}

function withDefaults(header: SetupHeader): SetupHeader {
  const setup_sects = header.setup_sects || SETUP_SECTS_DEFAULT;
  const older = SETUP_HEADER_BEFORE.filter(({ version }) => header.version < version);
  return older.reduce<SetupHeader>((filled, { values }) => ({ ...filled, ...values }), {
    ...header,
    setup_sects,
  });
}

/** Everything after the real-mode part. */
function locatePayload(kernel: ByteSource, header: SetupHeader): ImageRegion {
  const fileOffset = (header.setup_sects + 1) * SECTOR_BYTES;
  const fileBytes = kernel.sizeBytes - fileOffset;
  const statedBytes = header.syssize * PARAGRAPH_BYTES;
  if (fileBytes <= ENTRY_64_OFFSET || fileBytes < statedBytes - SYSSIZE_SLACK_BYTES) {
    throw imageDamaged(
      kernel.name,
      `${Math.max(fileBytes, 0)} bytes of code where its header says ${statedBytes}`,
    );
  }
  return { address: LOAD_ADDRESS, fileOffset, fileBytes, memoryBytes: fileBytes };
}

/**
 * Where the decompressor puts the kernel: the aligned load address, but never below pref_address; init_size
 * bytes are used there.
 */
function runtimeRange(header: SetupHeader, payload: ImageRegion): BusyRange {
  const aligned = alignUp(payload.address, header.kernel_alignment);
  const address = Math.max(aligned, Number(header.pref_address));
  return { address, memoryBytes: header.init_size };
}

function checkRuntimeRange(kernel: ByteSource, running: BusyRange, memory: GuestMemory): void {
  const { address, memoryBytes } = running;
  const end = address + memoryBytes;
  if (end > HOLE_BASE) throw claimsTooMuch(kernel.name, address, memoryBytes);
  if (!isRam(memory, address, memoryBytes)) {
    throw needsMemory(`kernel image ${kernel.name}`, end, memory.sizeBytes);
  }
}

function alignUp(value: number, unit: number): number {
  return unit === 0 ? value : Math.ceil(value / unit) * unit;
}

/**
 * Kernel images built in memory, for the tests of boot/, firmware/ and machine/: small, and every field can
 * be given.
 */
import { BootParams, LOADED_HIGH, SECTOR_BYTES, XLF_KERNEL_64 } from '../../vmm-core/abi/bootParams.ts';
import {
  MULTIBOOT_AOUT_KLUDGE,
  MULTIBOOT_HEADER_MAGIC,
  MultibootHeader,
} from '../../vmm-core/abi/multiboot.ts';
import { BootError, type BootErrorCode } from '../../vmm-core/boot/bootError.ts';
import { planMachine } from '../../vmm-core/devices/planner.ts';
import { type ByteSource, bytesSource } from '../../vmm-core/elf/byteSource.ts';
import { EM_386, EM_X86_64, ET_EXEC, PT_LOAD, PT_NOTE } from '../../vmm-core/elf/elfConstants.ts';
import type { Board } from '../../vmm-core/firmware/contribution.ts';
import { describeBoard } from '../../vmm-core/machine/board.ts';
import type { KernelRequest } from '../../vmm-core/machine/loadKernel.ts';
import { type GuestMemory, allocateGuestMemory, gpa } from '../../vmm-core/memory/guestMemory.ts';
import { MIB, ramRanges } from '../../vmm-core/memory/layout.ts';
import { plannableConfig } from './devices.ts';

export interface SegmentSpec {
  readonly type?: number;
  readonly physicalAddress: number | bigint;
  readonly virtualAddress?: number | bigint;
  readonly bytes: Uint8Array;
  /** Larger than `bytes`: the rest is bss. */
  readonly memoryBytes?: number;
  readonly align?: number;
}

export interface ElfSpec {
  readonly bits?: 32 | 64;
  readonly machine?: number;
  readonly type?: number;
  readonly entry?: number | bigint;
  readonly segments?: readonly SegmentSpec[];
}

/** Two bytes of code: jump to itself. */
export const SPIN = Uint8Array.of(0xeb, 0xfe);

const SEGMENT_ALIGN = 16;

/** An executable with program headers and no sections; one segment of code at 1 MiB unless told otherwise. */
export function elfImage(spec: ElfSpec = {}): Uint8Array {
  const bits = spec.bits ?? 64;
  const segments = spec.segments ?? [{ physicalAddress: MIB, bytes: SPIN }];
  const headerBytes = bits === 64 ? 64 : 52;
  const entryBytes = bits === 64 ? 56 : 32;
  let offset = headerBytes + entryBytes * segments.length;
  const placed = segments.map((segment) => {
    offset = Math.ceil(offset / SEGMENT_ALIGN) * SEGMENT_ALIGN;
    const at = offset;
    offset += segment.bytes.length;
    return { segment, at };
  });
  const image = new Uint8Array(offset);
  const view = new DataView(image.buffer);
  image.set([0x7f, 0x45, 0x4c, 0x46, bits === 64 ? 2 : 1, 1, 1]);
  view.setUint16(16, spec.type ?? ET_EXEC, true);
  view.setUint16(18, spec.machine ?? (bits === 64 ? EM_X86_64 : EM_386), true);
  view.setUint32(20, 1, true);
  const word = wordWriter(view, bits);
  word(24, spec.entry ?? MIB);
  word(24 + bits / 8, headerBytes);
  const afterWords = 24 + (3 * bits) / 8;
  view.setUint16(afterWords + 4, headerBytes, true);
  view.setUint16(afterWords + 6, entryBytes, true);
  view.setUint16(afterWords + 8, segments.length, true);
  placed.forEach(({ segment, at }, index) => {
    writeProgramHeader(view, bits, headerBytes + index * entryBytes, segment, at);
    image.set(segment.bytes, at);
  });
  return image;
}

function writeProgramHeader(
  view: DataView,
  bits: 32 | 64,
  at: number,
  segment: SegmentSpec,
  fileOffset: number,
): void {
  const word = wordWriter(view, bits);
  const first = at + (bits === 64 ? 8 : 4);
  const step = bits / 8;
  view.setUint32(at, segment.type ?? PT_LOAD, true);
  word(first, fileOffset);
  word(first + step, segment.virtualAddress ?? segment.physicalAddress);
  word(first + 2 * step, segment.physicalAddress);
  word(first + 3 * step, segment.bytes.length);
  word(first + 4 * step, segment.memoryBytes ?? segment.bytes.length);
  if (bits === 64) word(at + 48, segment.align ?? 4);
  else view.setUint32(at + 28, segment.align ?? 4, true);
}

function wordWriter(view: DataView, bits: 32 | 64): (at: number, value: number | bigint) => void {
  return (at, value) =>
    bits === 64
      ? view.setBigUint64(at, BigInt(value), true)
      : view.setUint32(at, Number(BigInt.asUintN(32, BigInt(value))), true);
}

/** One ELF note. */
export function elfNote(owner: string, type: number, descriptor: Uint8Array): Uint8Array {
  const nameBytes = owner.length + 1;
  const descriptorAt = 12 + Math.ceil(nameBytes / 4) * 4;
  const bytes = new Uint8Array(descriptorAt + Math.ceil(descriptor.length / 4) * 4);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, nameBytes, true);
  view.setUint32(4, descriptor.length, true);
  view.setUint32(8, type, true);
  bytes.set(new TextEncoder().encode(owner), 12);
  bytes.set(descriptor, descriptorAt);
  return bytes;
}

/** An ELF64 with a PVH note of 4 or 8 bytes; code at 1 MiB. */
export function pvhImage(entry: number = MIB, descriptorBytes = 4): Uint8Array {
  const descriptor = new Uint8Array(descriptorBytes);
  new DataView(descriptor.buffer).setUint32(0, entry, true);
  const note = elfNote('Xen', 18, descriptor);
  return elfImage({
    segments: [
      { physicalAddress: MIB, virtualAddress: 0xffffffff80000000n, bytes: SPIN },
      { type: PT_NOTE, physicalAddress: 0, bytes: note },
    ],
    entry: MIB,
  });
}

/** The 12 or, with load addresses, 32 bytes that make a file a multiboot image. */
export function multibootHeader(
  flags = 0,
  addresses: Partial<ReturnType<typeof MultibootHeader.read>> = {},
): Uint8Array {
  const checksum = -(MULTIBOOT_HEADER_MAGIC + flags) >>> 0;
  const bytes = MultibootHeader.bytes({ magic: MULTIBOOT_HEADER_MAGIC, flags, checksum, ...addresses });
  return (flags & MULTIBOOT_AOUT_KLUDGE) !== 0 ? bytes : bytes.subarray(0, 12);
}

/** An ELF that begins its segment at 1 MiB with a multiboot header and some code. */
export function multibootElf(bits: 32 | 64 = 32, flags = 0): Uint8Array {
  const header = multibootHeader(flags);
  const bytes = new Uint8Array(header.length + 4);
  bytes.set(header);
  bytes.set(SPIN, header.length);
  const segments = [{ physicalAddress: MIB, bytes, memoryBytes: 0x1000 }];
  return elfImage({ bits, entry: MIB + header.length, segments });
}

export type BzImageFields = Partial<ReturnType<typeof BootParams.read>>;

/**
 * A bzImage of protocol 2.15 with `payloadBytes` of 0x90 as its kernel, entered in long mode unless told
 * otherwise.
 */
export function bzImage(fields: BzImageFields = {}, payloadBytes = 0x1000): Uint8Array {
  const setupSectors = fields.setup_sects ?? 1;
  const setupBytes = ((setupSectors === 0 ? 4 : setupSectors) + 1) * SECTOR_BYTES;
  const image = new Uint8Array(setupBytes + payloadBytes);
  image.fill(0x90, setupBytes);
  BootParams.write(new DataView(image.buffer, 0, Math.min(image.length, BootParams.size)), {
    setup_sects: setupSectors,
    syssize: Math.floor(payloadBytes / 16),
    boot_flag: 0xaa55,
    jump: 0xeb | (0x6a << 8), // the header ends at 0x202 + 0x6a = 0x26c
    header: 0x53726448,
    version: 0x020f,
    loadflags: LOADED_HIGH,
    code32_start: MIB,
    initrd_addr_max: 0x7fffffff,
    kernel_alignment: 0x200000,
    relocatable_kernel: 1,
    xloadflags: XLF_KERNEL_64,
    cmdline_size: 2047,
    pref_address: BigInt(16 * MIB),
    init_size: 8 * MIB,
    ...fields,
  });
  return image;
}

export function ram(memoryBytes = 32 * MIB): GuestMemory {
  return allocateGuestMemory(ramRanges(memoryBytes));
}

/** This project's PC. */
export function board(cpus = 1): Board {
  return describeBoard(planMachine(plannableConfig()), cpus);
}

/** A request for that image with sensible rest. */
export function request(
  image: Uint8Array,
  { cpus, ...more }: Partial<KernelRequest> & { readonly cpus?: number } = {},
): KernelRequest {
  const kernel = source('kernel.elf', image);
  return { kernel, cmdline: '', protocol: 'auto', board: board(cpus), memory: more.memory ?? ram(), ...more };
}

export function source(name: string, bytes: Uint8Array): ByteSource {
  return bytesSource(name, bytes);
}

/** The NUL-terminated string in guest RAM. */
export function guestString(memory: GuestMemory, address: number): string {
  let end = address;
  while (memory.readU8(gpa(end)) !== 0) end++;
  // TextDecoder refuses shared memory.
  return new TextDecoder().decode(Uint8Array.from(memory.slice(gpa(address), end - address)));
}

/** For assert.throws: a BootError of that code, its message one sentence that names what it is about. */
export function bootError(code: BootErrorCode, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    if (!(error instanceof BootError)) throw error;
    if (error.code !== code || !message.test(error.message) || /[.\n]$/.test(error.message)) {
      throw new Error(`expected ${code} ${String(message)}, got ${error.code}: ${error.message}`);
    }
    return true;
  };
}

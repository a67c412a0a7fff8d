/**
 * From a file to a machine that is ready to run: decides the protocol, puts the image and all it needs into RAM, says what vCPU 0
 * starts with. Called by machine.ts on the main thread, before any vCPU runs and again after a reset. Knows nothing of KVM.
 */
import { MULTIBOOT_SEARCH } from '../abi/multiboot.ts';
import type { BootProtocol } from '../config/settings/boot.ts';
import { readBytes, type ByteSource } from '../elf/byteSource.ts';
import { type Compression, compressionOf } from '../elf/compression.ts';
import { type ElfFile, isElf } from '../elf/elfFile.ts';
import {
  argumentsUnsupported,
  type BootError,
  imageEmpty,
  imageUnknown,
  imageUnsupported,
  needsBios,
  wrongArchitecture,
  wrongProtocol,
} from './bootError.ts';
import type { BootRequest } from './bootRequest.ts';
import type { BootState } from './bootState.ts';
import { isBzImage, loadBzImage } from './bzImage.ts';
import { openElf } from './elfImage.ts';
import { isBootSector, loadFlat } from './flat.ts';
import { loadLinux64 } from './linux64.ts';
import { findMultibootHeader, loadMultiboot } from './multiboot.ts';
import { loadPvh, pvhEntry } from './pvh.ts';

export type { BootRequest } from './bootRequest.ts';

/** Throws BootError for whatever is wrong with the files or the command line. Errors of reading them pass through. */
export function loadKernel(request: BootRequest): BootState {
  const { initrd, initrdArguments } = request;
  const state = loadByProtocol(request);
  if (initrd !== undefined && initrdArguments !== undefined && state.protocol !== 'multiboot') {
    throw argumentsUnsupported(initrd.name, initrdArguments, state.protocol);
  }
  return state;
}

function loadByProtocol(request: BootRequest): BootState {
  const { kernel, protocol } = request;
  if (kernel.sizeBytes === 0) throw imageEmpty(kernel.name);
  const head = readBytes(kernel, 0, Math.min(kernel.sizeBytes, MULTIBOOT_SEARCH));
  switch (protocol) {
    case 'auto':
      return loadByContents(request, head);
    case 'bzimage':
      if (!isBzImage(head)) throw wrongProtocol(kernel.name, protocol, 'no bzImage header at offset 0x1f1');
      return loadBzImage(request, head);
    case 'pvh': {
      const elf = requireElf(kernel, head, protocol);
      const entry = pvhEntry(kernel, elf);
      if (entry === undefined)
        throw wrongProtocol(kernel.name, protocol, 'no ELF note of owner Xen and type 18');
      return loadPvh(request, elf, entry);
    }
    case 'multiboot': {
      const header = findMultibootHeader(head);
      if (header === undefined)
        throw wrongProtocol(kernel.name, protocol, 'no multiboot header in the first 8 KiB');
      return loadMultiboot(request, header, head);
    }
    case 'linux64':
      return loadLinux64(request, requireElf(kernel, head, protocol));
    case 'flat':
      return loadFlat(request, head);
  }
}

/** The order matters: a vmlinux with a PVH note is also a plain ELF64, and a multiboot kernel is often an ELF as well. */
function loadByContents(request: BootRequest, head: Uint8Array): BootState {
  const { kernel } = request;
  if (isBzImage(head)) return loadBzImage(request, head);
  const elf = isElf(head) ? openElf(kernel) : undefined;
  const entry = elf && pvhEntry(kernel, elf);
  if (elf !== undefined && entry !== undefined) return loadPvh(request, elf, entry);
  const header = findMultibootHeader(head);
  if (header !== undefined) return loadMultiboot(request, header, head);
  if (hasMultiboot2Header(head)) {
    throw imageUnsupported(kernel.name, 'has only a multiboot 2 header', 'add a multiboot 1 header');
  }
  if (elf !== undefined) return loadLinux64(request, elf);
  throw describeForeignImage(kernel, head);
}

function requireElf(kernel: ByteSource, head: Uint8Array, protocol: BootProtocol): ElfFile {
  if (!isElf(head)) throw wrongProtocol(kernel.name, protocol, 'it is no ELF file');
  return openElf(kernel);
}

const MULTIBOOT2_HEADER_MAGIC = 0xe852_50d6;

/** Multiboot2 §3.1.1: 64-bit aligned; magic, architecture, length and checksum add up to zero. */
function hasMultiboot2Header(head: Uint8Array): boolean {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  for (let offset = 0; offset + 16 <= view.byteLength; offset += 8) {
    if (view.getUint32(offset, true) !== MULTIBOOT2_HEADER_MAGIC) continue;
    const sum = [0, 4, 8, 12].reduce((total, at) => total + view.getUint32(offset + at, true), 0);
    if (sum % 2 ** 32 === 0) return true;
  }
  return false;
}

interface Signature {
  readonly offset: number;
  readonly bytes: readonly number[];
  readonly error: (image: string) => BootError;
}

/** Files that people give by mistake, told by their magic. */
const FOREIGN: readonly Signature[] = [
  // arch/arm64 and arch/riscv of Linux, Documentation/…/booting.rst and boot-image-header.rst
  { offset: 0x38, bytes: [0x41, 0x52, 0x4d, 0x64], error: (image) => wrongArchitecture(image, 'AArch64') },
  { offset: 0x38, bytes: [0x52, 0x53, 0x43, 0x05], error: (image) => wrongArchitecture(image, 'RISC-V') },
  {
    offset: 0,
    bytes: [0x1f, 0x8b],
    error: (image) => imageUnsupported(image, 'is a gzip file', 'unpack it first'),
  },
  {
    offset: 0,
    bytes: [0x4d, 0x5a],
    error: (image) => imageUnsupported(image, 'is an EFI or Windows program', 'give a kernel image'),
  },
  {
    offset: 0,
    bytes: [0x51, 0x46, 0x49, 0xfb],
    error: (image) => imageUnsupported(image, 'is a qcow2 disk image', 'give a kernel image'),
  },
];

function isCompressed(image: string, { method, command }: Compression): BootError {
  const article = /^[xl]/.test(method) ? 'an' : 'a'; // as their names are spoken
  return imageUnsupported(image, `is ${article} ${method} file`, `unpack it first ("${command}")`);
}

function describeForeignImage(kernel: ByteSource, head: Uint8Array): BootError {
  const known = FOREIGN.find(({ offset, bytes }) =>
    bytes.every((byte, index) => head[offset + index] === byte),
  );
  if (known !== undefined) return known.error(kernel.name);
  const compression = compressionOf(head);
  if (compression !== undefined) return isCompressed(kernel.name, compression);
  return isBootSector(head) ? needsBios(kernel.name) : imageUnknown(kernel.name);
}

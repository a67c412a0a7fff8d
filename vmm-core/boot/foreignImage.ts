/** What an image is that no protocol starts: files that people give by mistake, told by their magic. */
import { type Compression, compressionOf } from '../elf/compression.ts';
import { type BootError, imageUnknown, imageUnsupported, needsBios, wrongArchitecture } from './bootError.ts';
import { isBootSector } from './flat.ts';
import type { KernelImage } from './kernelImage.ts';

interface Signature {
  readonly offset: number;
  readonly bytes: readonly number[];
  readonly error: (image: string) => BootError;
}

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

export function foreignImage({ name, head }: KernelImage): BootError {
  const known = FOREIGN.find(({ offset, bytes }) =>
    bytes.every((byte, index) => head[offset + index] === byte),
  );
  if (known !== undefined) return known.error(name);
  const compression = compressionOf(head);
  if (compression !== undefined) return isCompressed(name, compression);
  return isBootSector(head) ? needsBios(name) : imageUnknown(name);
}

function isCompressed(image: string, { method, command }: Compression): BootError {
  const article = /^[xl]/.test(method) ? 'an' : 'a'; // as their names are spoken
  return imageUnsupported(image, `is ${article} ${method} file`, `unpack it first ("${command}")`);
}

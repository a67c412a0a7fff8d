/** Multiboot 2 is not spoken: a kernel that has no other way to start is told so. */
import { MULTIBOOT2_HEADER_ALIGN, MULTIBOOT2_HEADER_MAGIC, Multiboot2Header } from '../abi/multiboot2.ts';
import { imageUnsupported } from './bootError.ts';
import type { KernelLoader } from './kernelLoader.ts';

export const MULTIBOOT2: KernelLoader = {
  matches: ({ head }) => hasMultiboot2Header(head),
  locate({ name }) {
    throw imageUnsupported(name, 'has only a multiboot 2 header', 'add a multiboot 1 header');
  },
};

function hasMultiboot2Header(head: Uint8Array): boolean {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  for (let at = 0; at + Multiboot2Header.size <= view.byteLength; at += MULTIBOOT2_HEADER_ALIGN) {
    if (view.getUint32(at, true) !== MULTIBOOT2_HEADER_MAGIC) continue;
    const { magic, architecture, header_length, checksum } = Multiboot2Header.read(view, at);
    if ((magic + architecture + header_length + checksum) % 2 ** 32 === 0) return true;
  }
  return false;
}

/** Decides by which protocol an image is started. A new protocol is a file and a line here. */
import { imageEmpty } from './bootError.ts';
import type { BootRequest } from './bootRequest.ts';
import { BZ_IMAGE } from './bzImage.ts';
import { FLAT } from './flat.ts';
import { foreignImage } from './foreignImage.ts';
import { KernelImage } from './kernelImage.ts';
import type { KernelLoader, LocatedKernel } from './kernelLoader.ts';
import { LINUX64 } from './linux64.ts';
import { MULTIBOOT } from './multiboot.ts';
import { MULTIBOOT2 } from './multiboot2.ts';
import { PVH } from './pvh.ts';

/**
 * In the order in which `auto` asks: a vmlinux with a PVH note is also a plain ELF64, and so is many a
 * multiboot kernel.
 */
const LOADERS: readonly KernelLoader[] = [BZ_IMAGE, PVH, MULTIBOOT, MULTIBOOT2, LINUX64, FLAT];

/**
 * Throws BootError for whatever is wrong with the files or the command line. Errors of reading them pass
 * through. Nothing is written to RAM.
 */
export function locateKernel(request: BootRequest): LocatedKernel {
  const { kernel, protocol } = request;
  if (kernel.sizeBytes === 0) throw imageEmpty(kernel.name);
  const image = new KernelImage(kernel);
  const loader = LOADERS.find((it) => (protocol === 'auto' ? it.matches(image) : it.setting === protocol));
  if (loader === undefined) throw foreignImage(image);
  return loader.locate(image, request);
}

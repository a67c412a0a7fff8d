/** Debian's stock cloud kernel with its debug information: vmlinux (588 MB) and some of its modules. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fetchPackage } from '../../../scripts/debian.ts';
import { seededRandom } from '../../support/bytes.ts';

const PACKAGE = 'linux-image-6.1.0-*-cloud-amd64-dbg';
const MODULES = 20;
/** Drivers of a reasonable size: the largest take gdb and us as long as all others together. */
const MIN_MODULE_BYTES = 300_000;
const MAX_MODULE_BYTES = 8 << 20;

export interface KernelFiles {
  readonly vmlinux: string;
  readonly modules: readonly string[];
}

/** A sentence when the package cannot be obtained. Kept between runs. */
export async function kernelFiles(): Promise<KernelFiles | string> {
  let debug: string;
  try {
    debug = join(await fetchPackage(PACKAGE), 'usr/lib/debug');
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const boot = join(debug, 'boot');
  const vmlinux = readdirSync(boot).find((name) => name.startsWith('vmlinux-'));
  if (vmlinux === undefined) return `${PACKAGE} has no vmlinux`;
  return { vmlinux: join(boot, vmlinux), modules: someModules(join(debug, 'lib/modules')) };
}

/** The same ones every time, from every part of the kernel. */
function someModules(folder: string): string[] {
  const all = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ko'))
    .sort()
    .map((name) => join(folder, name))
    .filter((path) => {
      const { size } = statSync(path);
      return size >= MIN_MODULE_BYTES && size <= MAX_MODULE_BYTES;
    });
  const random = seededRandom(20);
  return Array.from({ length: MODULES }, () => all.splice(Math.floor(random() * all.length), 1)[0] as string);
}

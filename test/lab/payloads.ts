/**
 * The guests (L2) the lab boots with our VMM, made from stock Debian packages: a distribution's kernel as the
 * bzImage it ships and as the ELF inside it, and an initrd whose init talks on ttyS0.
 */
import { execFileSync } from 'node:child_process';
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { fetchPackage } from '../../scripts/debian.ts';
import {
  BUSYBOX_PACKAGE,
  fetchFullKernel,
  fetchL1Kernel,
  KERNEL_PACKAGE,
  MEMTEST_PACKAGE,
  XEN_PACKAGE,
} from '../../scripts/testing/downloads.ts';
import { CpioArchive } from './cpio.ts';
import { PAYLOADS, missingNote } from './inside/labProtocol.ts';
import { decodeLegacyLz4 } from './lz4.ts';

// Documentation/x86/boot.rst, "The Real-Mode Kernel Header".
const SETUP_SECTS = 0x1f1;
const HEADER_MAGIC = 0x202;
const HEADER_MAGIC_HDRS = 0x53726448; // "HdrS"
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;

const XZ_MAGIC = 0x587a37fd; // how large kernels are packed

export interface StockKernel {
  readonly bzImage: Buffer;
  readonly release: string;
  /** The package's unpacked root. */
  readonly directory: string;
}

/** The guests'. */
export async function stockKernel(): Promise<StockKernel> {
  return kernelIn(await fetchPackage(KERNEL_PACKAGE));
}

/** With drivers that theirs does not have. */
export async function fullKernel(): Promise<StockKernel> {
  return kernelIn(await fetchFullKernel());
}

/** L1's own. */
export async function l1Kernel(): Promise<StockKernel> {
  return kernelIn(await fetchL1Kernel());
}

async function kernelIn(directory: string): Promise<StockKernel> {
  const image = (await readdir(path.join(directory, 'boot'))).find((it) => it.startsWith('vmlinuz-'));
  if (image === undefined) throw new Error(`${directory}/boot has no vmlinuz`);
  const bzImage = await readFile(path.join(directory, 'boot', image));
  return { bzImage, release: image.slice('vmlinuz-'.length), directory };
}

/** The kernel proper: an ELF file with a PVH note, compressed into the bzImage by the kernel build. */
export function innerVmlinux(bzImage: Buffer): Buffer {
  const magic = bzImage.readUInt32LE(HEADER_MAGIC);
  if (magic !== HEADER_MAGIC_HDRS) throw new Error(`no bzImage setup header: 0x${magic.toString(16)}`);
  const protectedMode = (bzImage.readUInt8(SETUP_SECTS) + 1) * 512;
  const start = protectedMode + bzImage.readUInt32LE(PAYLOAD_OFFSET);
  // The build appends the unpacked size to the payload as a little-endian word.
  const end = start + bzImage.readUInt32LE(PAYLOAD_LENGTH) - 4;
  const payload = bzImage.subarray(start, end);
  return payload.readUInt32LE() === XZ_MAGIC
    ? execFileSync('xz', ['-dc'], { input: payload, maxBuffer: 1 << 28 })
    : decodeLegacyLz4(payload, bzImage.readUInt32LE(end));
}

export async function staticBusybox(): Promise<Buffer> {
  return readFile(path.join(await fetchPackage(BUSYBOX_PACKAGE), 'bin/busybox'));
}

export async function guestInitrd(): Promise<Buffer> {
  const archive = new CpioArchive();
  archive.characterDevice('/dev/console', 5, 1); // init's first standard streams, before it mounts /dev
  archive.file('/bin/busybox', await staticBusybox(), 0o755);
  archive.file('/init', await readFile(path.join(import.meta.dirname, 'inside/l2Init.sh')), 0o755);
  return archive.finish();
}

/**
 * Kernels other than Linux, by their path in L1; if a package is not available, a note with the reason.
 */
export async function foreignKernels(): Promise<Map<string, Buffer>> {
  const xen = await bootFiles(XEN_PACKAGE, { [PAYLOADS.xen]: /^xen-.*\.gz$/ });
  const memtest = await bootFiles(MEMTEST_PACKAGE, {
    [PAYLOADS.memtest32]: /^memtest86\+ia32\.bin$/,
  });
  return new Map([...xen, ...memtest]);
}

/** Files of a package's /boot, unpacked; `wanted` says for each payload what its file is called. */
async function bootFiles(
  packageName: string,
  wanted: Readonly<Record<string, RegExp>>,
): Promise<[string, Buffer][]> {
  const payloads = Object.entries(wanted);
  try {
    const directory = path.join(await fetchPackage(packageName), 'boot');
    const names = await readdir(directory);
    const read = async (pattern: RegExp): Promise<Buffer> => {
      const name = names.find((it) => pattern.test(it));
      if (name === undefined) throw new Error(`${directory} has no ${String(pattern)}`);
      const data = await readFile(path.join(directory, name));
      return name.endsWith('.gz') ? gunzipSync(data) : data;
    };
    return await Promise.all(
      payloads.map(async ([payload, pattern]): Promise<[string, Buffer]> => [payload, await read(pattern)]),
    );
  } catch (error) {
    const reason = Buffer.from((error as Error).message);
    return payloads.map(([payload]) => [missingNote(payload), reason]);
  }
}

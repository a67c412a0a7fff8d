/**
 * Files that hold a symbol file in another form: kernel modules as distributions compress them, and bootable
 * kernel images.
 */
import { gunzipSync } from 'node:zlib';
import { type ByteSource, readBytes } from '../../../vmm-core/elf/byteSource.ts';
import { mayBecomeBytes } from '../../../vmm-core/elf/compressedSection.ts';
import { compressionOf } from '../../../vmm-core/elf/compression.ts';
import { unzstd } from './zstd.ts';

const GZIP = [0x1f, 0x8b];
/** No magic is longer. */
const HEAD_BYTES = 8;

/** Linux's boot protocol, "The Real-Mode Kernel Header". */
const BOOT_FLAG = { offset: 0x1fe, bytes: [0x55, 0xaa] };
const HEADER = { offset: 0x202, bytes: [0x48, 0x64, 0x72, 0x53] }; // "HdrS"
const KERNEL_VERSION = 0x20e;
const MAX_VERSION_BYTES = 256;

/**
 * The bytes of the file inside; undefined for a file that is not packed. Throws with a sentence for the user.
 */
export function unpacked(source: ByteSource): Uint8Array | undefined {
  if (startsWith(source, 0, GZIP))
    return inflated(source, 'gzip', (bytes, maxOutputLength) => gunzipSync(bytes, { maxOutputLength }));
  const compression = compressionOf(readBytes(source, 0, Math.min(HEAD_BYTES, source.sizeBytes)));
  if (compression?.method === 'zstd') return inflated(source, 'zstd', unzstd);
  if (compression !== undefined)
    throw new Error(
      `${source.name} is compressed with ${compression.method}, which is not supported here: ` +
        `unpack it with "${compression.command} ${source.name}" and name the result`,
    );
  if (
    startsWith(source, BOOT_FLAG.offset, BOOT_FLAG.bytes) &&
    startsWith(source, HEADER.offset, HEADER.bytes)
  )
    throw new Error(noSymbolsIn(source));
  return undefined;
}

function inflated(
  source: ByteSource,
  method: string,
  inflate: (bytes: Uint8Array, maxBytes: number) => Uint8Array,
): Uint8Array {
  const bytes = readBytes(source, 0, source.sizeBytes);
  try {
    return inflate(bytes, mayBecomeBytes(source.sizeBytes));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${source.name} cannot be unpacked with ${method}: ${reason}`, { cause });
  }
}

function noSymbolsIn(source: ByteSource): string {
  const release = kernelRelease(source);
  const what = `${source.name} is a kernel as it is booted (bzImage), which has no symbols`;
  return release === undefined
    ? `${what}: name the vmlinux it was made from, in the directory where the kernel was built`
    : `${what}: name its vmlinux, /usr/lib/debug/boot/vmlinux-${release} where Debian's package ` +
        `linux-image-${release}-dbg is installed, or the one in the directory where it was built`;
}

/** The first word of the version: `6.1.0-50-cloud-amd64`. */
function kernelRelease(source: ByteSource): string | undefined {
  const pointer = readBytes(source, KERNEL_VERSION, 2);
  const start = ((pointer[0] as number) | ((pointer[1] as number) << 8)) + 0x200;
  if (start === 0x200 || start >= source.sizeBytes) return undefined;
  const bytes = readBytes(source, start, Math.min(MAX_VERSION_BYTES, source.sizeBytes - start));
  return /^[\w.+~-]+/.exec(new TextDecoder('latin1').decode(bytes))?.[0];
}

function startsWith(source: ByteSource, offset: number, wanted: readonly number[]): boolean {
  if (source.sizeBytes < offset + wanted.length) return false;
  const bytes = readBytes(source, offset, wanted.length);
  return wanted.every((byte, index) => bytes[index] === byte);
}

/** Files of disks for tests: what they hold is known, and has holes, zeros and what compresses. */
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type DiskImage } from '../../vmm-core/backends/disk/diskImage.ts';
import { attachImage, type ImageOptions, openImage } from '../../vmm-core/backends/disk/openImage.ts';
import { seededRandom } from './bytes.ts';

const PIECE_BYTES = 24 << 10;

/** A folder of a test, gone when `body` is done. */
export function inFolder<T>(body: (folder: string) => T): T {
  const folder = mkdtempSync(path.join(tmpdir(), 'trapframe-disk-'));
  try {
    return body(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export async function inFolderAsync(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'trapframe-disk-'));
  try {
    await body(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export function writeRawDisk(file: string, sizeBytes: number, seed = 1): void {
  const random = seededRandom(seed);
  const fd = openSync(file, 'w');
  ftruncateSync(fd, sizeBytes);
  for (let at = 0; at < sizeBytes; at += PIECE_BYTES) {
    if (random() < 0.4) continue;
    const piece = new Uint8Array(Math.min(PIECE_BYTES, sizeBytes - at));
    if (random() < 0.5) for (let i = 0; i < piece.length; i++) piece[i] = Math.floor(random() * 256);
    else piece.fill(Math.floor(random() * 256));
    writeSync(fd, piece, 0, piece.length, at);
  }
  closeSync(fd);
}

export const PLAIN: Omit<ImageOptions, 'path' | 'format'> = {
  isReadOnly: false,
  cache: 'writeback',
  discards: true,
  backing: 'none',
  isSnapshot: false,
};

export function openDisk(
  file: string,
  format: ImageOptions['format'],
  options: Partial<ImageOptions> = {},
): DiskImage {
  return attachImage(openImage({ ...PLAIN, path: file, format, ...options }));
}

export function diskBytes(image: DiskImage): Uint8Array {
  const bytes = new Uint8Array(image.sizeBytes);
  image.read(0, bytes);
  return bytes;
}

export function assertDiskIs(image: DiskImage, raw: string): void {
  const expected = readFileSync(raw);
  const found = diskBytes(image);
  if (found.length !== expected.length) throw new Error(`${found.length} bytes, not ${expected.length}`);
  if (Buffer.compare(found, expected) === 0) return;
  const at = found.findIndex((byte, index) => byte !== expected[index]);
  throw new Error(`differs at 0x${at.toString(16)}`);
}

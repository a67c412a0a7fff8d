/**
 * Broken qcow2 images, by structure: an image that was worked on, with a few fields of its header or entries
 * of its tables replaced by what is most likely to mislead. Whatever is done with it ends soon, and in an
 * answer or in a typed error.
 */
import { deflateRawSync } from 'node:zlib';
import { checkQcow2 } from '../../vmm-core/backends/disk/checkImage.ts';
import { DiskError } from '../../vmm-core/backends/disk/diskError.ts';
import { SECTOR_BYTES } from '../../vmm-core/backends/disk/diskImage.ts';
import { Qcow2HeaderError } from '../../vmm-core/backends/disk/qcow2/header.ts';
import { openQcow2 } from '../../vmm-core/backends/disk/qcow2/openQcow2.ts';
import type { Qcow2Image } from '../../vmm-core/backends/disk/qcow2/qcow2Image.ts';
import { UserError } from '../../vmm-core/errors.ts';
import { seededRandom } from './bytes.ts';
import { Chances } from './chances.ts';
import { openInMemory } from './diskStart.ts';
import { workOn } from './diskWork.ts';
import { cpuMs } from './fuzz.ts';
import { RecordedFile } from './recordedFile.ts';

/** No image of these grows so far. */
const FILE_LIMIT_BYTES = 16 << 20;
/** Of processor time. */
const MAX_ROUND_MS = 5000;
const STEPS = 20;

/** Offsets and widths of the header's fields that matter. */
const HEADER_FIELDS: readonly (readonly [number, 1 | 4 | 8])[] = [
  ...([4, 16, 20, 32, 36, 56, 60, 96, 100] as const).map((it) => [it, 4] as const),
  ...([8, 24, 40, 48, 64, 72, 80, 88] as const).map((it) => [it, 8] as const),
  [104, 1],
];

/** One broken image, opened, read, written and checked. Throws when one of them ends as it must not. */
export function qcow2Round(seed: number): void {
  const chances = new Chances(seededRandom(seed));
  const start = chances.chance(0.3) ? 'with a snapshot inside' : 'empty';
  const { bytes } = workOn(chances, { steps: STEPS, start }).file;
  packSome(chances, bytes);
  const image = Uint8Array.from(bytes);
  for (let changes = 1 + chances.below(3); changes > 0; changes--) breakOne(chances, image);
  const startMs = cpuMs();
  allow(() => use(chances, image, true));
  allow(() => use(chances, image, false));
  allow(() => checkQcow2(limited(image), { repairsLeaks: chances.chance(0.5) }));
  const ms = cpuMs() - startMs;
  if (ms > MAX_ROUND_MS) throw new Error(`took ${Math.round(ms)} ms`);
}

function use(chances: Chances, bytes: Uint8Array, isReadOnly: boolean): void {
  const options = { isReadOnly, discards: true, isUnsafe: false, backing: undefined, cacheBytes: 1 };
  const image = openQcow2(limited(bytes), options);
  for (let round = 0; round < 40; round++) allow(() => request(chances, image));
  image.close();
}

function request(chances: Chances, image: Qcow2Image): void {
  const sectors = Math.min(image.sizeBytes / SECTOR_BYTES, 2 ** 40);
  if (sectors === 0) return;
  const first = chances.chance(0.8) ? chances.below(Math.min(sectors, 4096)) : chances.below(sectors);
  const count = 1 + chances.below(Math.min(sectors - first, 64));
  const [offset, lengthBytes] = [first * SECTOR_BYTES, count * SECTOR_BYTES];
  const kind = chances.random();
  if (kind < 0.5 || image.isReadOnly) image.read(offset, new Uint8Array(lengthBytes));
  else if (kind < 0.75) image.write(offset, new Uint8Array(lengthBytes).fill(7));
  else if (kind < 0.85) image.writeZeroes(offset, lengthBytes, chances.chance(0.5));
  else if (kind < 0.95) image.discard(offset, lengthBytes);
  else image.flush();
}

/** Some clusters become compressed ones, so that those are broken too. */
function packSome(chances: Chances, bytes: Uint8Array): void {
  if (!chances.chance(0.5)) return;
  const file = new RecordedFile(bytes);
  const image = openInMemory(file);
  const clusters = Math.floor(image.sizeBytes / image.clusterBytes);
  for (let count = 0; count < Math.min(8, clusters); count++) {
    const cluster = new Uint8Array(image.clusterBytes).fill(count);
    const packed = deflateRawSync(cluster, { windowBits: 12 });
    image.writePacked(chances.below(clusters) * image.clusterBytes, packed);
  }
  image.close();
  bytes.set(file.bytes.subarray(0, bytes.length));
}

function breakOne(chances: Chances, image: Uint8Array): void {
  const view = new DataView(image.buffer);
  if (chances.chance(0.25)) {
    const [at, sizeBytes] = chances.of(HEADER_FIELDS);
    if (sizeBytes === 8) view.setBigUint64(at, number(chances, image));
    else if (sizeBytes === 4) view.setUint32(at, Number(number(chances, image) & 0xffff_ffffn));
    else image[at] = chances.below(256);
    return;
  }
  const table = chances.of(tablesOf(view));
  const index = chances.chance(0.7) ? chances.below(16) : chances.below(512);
  const at = Math.min(table + index * 8, image.length - 8);
  if (chances.chance(0.3)) view.setUint8(at + chances.below(8), chances.below(256));
  else view.setBigUint64(at, number(chances, image) | flags(chances));
}

/** Offsets that are the file's, or its edges; or nothing that makes sense. */
function number(chances: Chances, image: Uint8Array): bigint {
  const kind = chances.random();
  const view = new DataView(image.buffer);
  if (kind < 0.4) return BigInt(chances.of(tablesOf(view)));
  if (kind < 0.7) return BigInt(Math.floor(chances.below(image.length) / 512) * 512);
  if (kind < 0.85)
    return chances.of([
      0n,
      1n,
      511n,
      1n << 31n,
      1n << 32n,
      1n << 52n,
      1n << 53n,
      (1n << 56n) - 512n,
      1n << 61n,
    ]);
  return (BigInt(chances.below(2 ** 32)) << 32n) | BigInt(chances.below(2 ** 32));
}

function flags(chances: Chances): bigint {
  const copied = chances.chance(0.5) ? 1n << 63n : 0n;
  const packed = chances.chance(0.2) ? 1n << 62n : 0n;
  return copied | packed | (chances.chance(0.2) ? 1n : 0n);
}

/** Offsets of tables of a good image: header, L1, L2 tables, refcount table, its blocks, snapshots. */
function tablesOf(view: DataView): number[] {
  const offsetAt = (at: number): number => Number(view.getBigUint64(at) % BigInt(view.byteLength - 8));
  const [l1, refcounts, snapshots] = [offsetAt(40), offsetAt(48), offsetAt(64)];
  const tables = [0, l1, refcounts];
  if (snapshots !== 0) tables.push(snapshots, offsetAt(snapshots));
  for (const table of tables.slice(1))
    for (let at = table; at < table + 64 && at + 8 <= view.byteLength; at += 8) {
      const entry = Number(view.getBigUint64(at) & 0x00ff_ffff_ffff_fe00n);
      if (entry !== 0 && entry < view.byteLength) tables.push(entry);
    }
  return tables;
}

function limited(bytes: Uint8Array): RecordedFile {
  const file = new RecordedFile(bytes);
  file.limitBytes = FILE_LIMIT_BYTES;
  return file;
}

/** Errors that a broken image may cause. */
function allow(body: () => unknown): void {
  try {
    body();
  } catch (error) {
    const isTyped =
      error instanceof DiskError ||
      error instanceof UserError ||
      error instanceof Qcow2HeaderError ||
      (error instanceof RangeError && error.message.includes('too many to check'));
    if (!isTyped) throw error;
  }
}

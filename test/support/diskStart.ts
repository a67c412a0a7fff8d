/** What a qcow2 image in memory is when work on it begins: all that a write may find at its place. */
import { deflateRawSync } from 'node:zlib';
import { SECTOR_BYTES } from '../../vmm-core/backends/disk/diskImage.ts';
import {
  DEFAULT_FORMAT,
  formatQcow2,
  type Qcow2Format,
} from '../../vmm-core/backends/disk/qcow2/formatQcow2.ts';
import { openQcow2 } from '../../vmm-core/backends/disk/qcow2/openQcow2.ts';
import type { Qcow2Image } from '../../vmm-core/backends/disk/qcow2/qcow2Image.ts';
import type { Chances } from './chances.ts';
import type { DiskHistory } from './diskHistory.ts';
import { takeSnapshot } from './innerSnapshot.ts';
import { RecordedFile } from './recordedFile.ts';

export const STARTS = [
  'empty',
  'with compressed clusters',
  'over a backing file',
  'in snapshot mode',
  'with a snapshot inside',
] as const;
export type DiskStart = (typeof STARTS)[number];

/** What is beside the image's own file. */
export interface Surroundings {
  /** Its backing file. */
  readonly base?: RecordedFile;
  /** Syncs are left out. */
  readonly isUnsafe?: boolean;
}

const BASE_FD = -2; // that of an image is another
const FILLS = 12;
const CLUSTER_BYTES = [512, 1024, 4096, 65536];
const MAX_SECTORS = 4096;
const REFCOUNT_BITS = [1, 2, 4, 8, 16, 32, 64];

export function randomFormat(chances: Chances, start: DiskStart = 'empty'): Qcow2Format {
  const clusterBytes = chances.of(CLUSTER_BYTES);
  const isV2 = chances.chance(0.2);
  // a snapshot needs counts beyond 1, and clusters of many compressed ones high ones
  const bits = start === 'with a snapshot inside' ? REFCOUNT_BITS.filter((it) => it >= 16) : REFCOUNT_BITS;
  return {
    ...DEFAULT_FORMAT,
    clusterBytes,
    sizeBytes: SECTOR_BYTES * (1 + chances.below(Math.min(clusterBytes, MAX_SECTORS))),
    ...(isV2 ? { version: 2 } : { refcountBits: chances.of(bits), hasLazyRefcounts: chances.chance(0.3) }),
  };
}

/** Opens with a cache of few slices, so that they are written back at any moment. */
export function openInMemory(file: RecordedFile, { base, isUnsafe = false }: Surroundings = {}): Qcow2Image {
  const options = { discards: true, isUnsafe, cacheBytes: 1 };
  const backing = base && openQcow2(base, { ...options, isReadOnly: true, backing: undefined });
  return openQcow2(file, { ...options, isReadOnly: false, backing });
}

/** Fills an image that was just made, as step 0 of its history, and what is around it. */
export function beginAs(
  start: DiskStart,
  chances: Chances,
  file: RecordedFile,
  history: DiskHistory,
): Surroundings {
  switch (start) {
    case 'empty':
      return {};
    case 'with compressed clusters':
      fill(chances, file, history, {}, 0.7);
      return {};
    case 'over a backing file':
    case 'in snapshot mode': {
      const around = { base: newBase(chances, history), isUnsafe: start === 'in snapshot mode' };
      if (!around.isUnsafe) fill(chances, file, history, around, 0.3);
      return around;
    }
    case 'with a snapshot inside':
      fill(chances, file, history, {}, 0.3);
      takeSnapshot(file);
      return {};
  }
}

/** `packedShare`: of compressed clusters. */
function fill(
  chances: Chances,
  file: RecordedFile,
  history: DiskHistory,
  around: Surroundings,
  packedShare: number,
): void {
  const image = openInMemory(file, around);
  for (let count = 0; count < FILLS; count++)
    if (chances.chance(packedShare)) packOne(chances, image, history);
    else writeOne(chances, image, history);
  image.close();
}

/** Shorter or longer than the disk over it. */
function newBase(chances: Chances, history: DiskHistory): RecordedFile {
  const file = new RecordedFile(new Uint8Array(0), BASE_FD);
  const sectors = Math.ceil((history.sizeBytes / SECTOR_BYTES) * (0.3 + 1.3 * chances.random()));
  formatQcow2(file, {
    ...DEFAULT_FORMAT,
    clusterBytes: chances.of([512, 4096]),
    sizeBytes: sectors * SECTOR_BYTES,
  });
  fill(chances, file, history, {}, 0.3);
  return new RecordedFile(file.bytes, BASE_FD); // without what made it
}

function writeOne(chances: Chances, image: Qcow2Image, history: DiskHistory): void {
  const sectors = image.sizeBytes / SECTOR_BYTES;
  const first = chances.below(sectors);
  const count = 1 + chances.below(Math.min(sectors - first, 200));
  image.write(first * SECTOR_BYTES, history.write(first * SECTOR_BYTES, count * SECTOR_BYTES, 0));
}

function packOne(chances: Chances, image: Qcow2Image, history: DiskHistory): void {
  const { clusterBytes, sizeBytes } = image;
  const offset = chances.below(Math.ceil(sizeBytes / clusterBytes)) * clusterBytes;
  const cluster = new Uint8Array(clusterBytes);
  cluster.set(history.write(offset, Math.min(clusterBytes, sizeBytes - offset), 0));
  image.writePacked(offset, deflateRawSync(cluster, { windowBits: 12 }));
}

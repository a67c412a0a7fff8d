/** Seeded work on a qcow2 image in memory: writes, zeros, discards, flushes, resizes, as of a guest. */
import { DiskError } from '../../vmm-core/backends/disk/diskError.ts';
import { SECTOR_BYTES } from '../../vmm-core/backends/disk/diskImage.ts';
import {
  DEFAULT_FORMAT,
  formatQcow2,
  type Qcow2Format,
} from '../../vmm-core/backends/disk/qcow2/formatQcow2.ts';
import { openQcow2 } from '../../vmm-core/backends/disk/qcow2/openQcow2.ts';
import type { Qcow2Image } from '../../vmm-core/backends/disk/qcow2/qcow2Image.ts';
import { ENOSPC } from '../../vmm-core/kvm/errno.ts';
import { DiskHistory } from './diskHistory.ts';
import { RecordedFile } from './recordedFile.ts';

export interface DiskWork {
  readonly file: RecordedFile;
  readonly format: Qcow2Format;
  /** The file before the work. */
  readonly start: Uint8Array;
  readonly history: DiskHistory;
  /** Steps after which all before it was flushed. */
  readonly flushed: readonly number[];
}

const CLUSTER_BYTES = [512, 1024, 4096, 65536];
const MAX_SECTORS = 4096;
const REFCOUNT_BITS = [1, 2, 4, 8, 16, 32, 64];

/** `chance(0.1)` in one of ten. */
export class Chances {
  readonly random: () => number;

  constructor(random: () => number) {
    this.random = random;
  }

  chance(share: number): boolean {
    return this.random() < share;
  }

  below(limit: number): number {
    return Math.floor(this.random() * limit);
  }

  of<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }
}

export function randomFormat(chances: Chances): Qcow2Format {
  const clusterBytes = chances.of(CLUSTER_BYTES);
  const isV2 = chances.chance(0.2);
  return {
    ...DEFAULT_FORMAT,
    clusterBytes,
    sizeBytes: SECTOR_BYTES * (1 + chances.below(Math.min(clusterBytes, MAX_SECTORS))),
    ...(isV2
      ? { version: 2 }
      : { refcountBits: chances.of(REFCOUNT_BITS), hasLazyRefcounts: chances.chance(0.3) }),
  };
}

/** Opens with a cache of few slices, so that they are written back at any moment. */
export function openInMemory(file: RecordedFile): Qcow2Image {
  return openQcow2(file, {
    isReadOnly: false,
    discards: true,
    isUnsafe: false,
    backing: undefined,
    cacheBytes: 1,
  });
}

/** `limitShare`: of steps that begin or end a time without space. */
export function workOn(chances: Chances, steps: number, limitShare = 0): DiskWork {
  const format = randomFormat(chances);
  const empty = new RecordedFile();
  formatQcow2(empty, format);
  const start = Uint8Array.from(empty.bytes);
  const file = new RecordedFile(start);
  const history = new DiskHistory(format.sizeBytes);
  const flushed = [0];
  const image = openInMemory(file);
  for (let step = 1; step <= steps; step++) {
    if (chances.chance(limitShare))
      file.limitBytes = file.limitBytes === Infinity ? file.sizeBytes() + chances.below(3) * 512 : Infinity;
    file.mark(step);
    try {
      if (doStep(chances, image, history, file, step)) flushed.push(step);
    } catch (error) {
      if (!(error instanceof DiskError && error.errno === ENOSPC)) throw error;
      history.failed(step);
      history.grow(image.sizeBytes, step);
    }
  }
  file.limitBytes = Infinity;
  file.mark(steps + 1);
  image.close();
  flushed.push(steps + 1);
  file.mark(steps + 2);
  return { file, format, start, history, flushed };
}

/** True: a flush. */
function doStep(
  chances: Chances,
  image: Qcow2Image,
  history: DiskHistory,
  file: RecordedFile,
  step: number,
): boolean {
  const sectors = image.sizeBytes / SECTOR_BYTES;
  const first = chances.below(sectors);
  const count = 1 + chances.below(Math.min(sectors - first, chances.chance(0.2) ? 512 : 12));
  const [offset, lengthBytes] = [first * SECTOR_BYTES, count * SECTOR_BYTES];
  const kind = chances.random();
  if (kind < 0.6) image.write(offset, history.write(offset, lengthBytes, step));
  else if (kind < 0.7) {
    history.zero(offset, lengthBytes, step);
    image.writeZeroes(offset, lengthBytes, chances.chance(0.5));
  } else if (kind < 0.8) {
    history.discard(offset, lengthBytes, step);
    image.discard(offset, lengthBytes);
  } else if (kind < 0.82) grow(chances, image, history, step);
  else {
    const isDurable = image.flush() && chances.chance(0.8);
    if (isDurable) file.sync(); // otherwise nobody was told that it is flushed
    return isDurable;
  }
  return false;
}

function grow(chances: Chances, image: Qcow2Image, history: DiskHistory, step: number): void {
  const sizeBytes = image.sizeBytes + SECTOR_BYTES * chances.below(200);
  image.resize(sizeBytes);
  history.grow(sizeBytes, step);
}

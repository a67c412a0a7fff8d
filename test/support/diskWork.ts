/** Seeded work on a qcow2 image in memory: writes, zeros, discards, flushes, resizes, as of a guest. */
import { DiskError } from '../../vmm-core/backends/disk/diskError.ts';
import { SECTOR_BYTES } from '../../vmm-core/backends/disk/diskImage.ts';
import { formatQcow2, type Qcow2Format } from '../../vmm-core/backends/disk/qcow2/formatQcow2.ts';
import type { Qcow2Image } from '../../vmm-core/backends/disk/qcow2/qcow2Image.ts';
import { ENOSPC } from '../../vmm-core/kvm/errno.ts';
import type { Chances } from './chances.ts';
import { DiskHistory } from './diskHistory.ts';
import { beginAs, type DiskStart, openInMemory, randomFormat, type Surroundings } from './diskStart.ts';
import { RecordedFile } from './recordedFile.ts';

export interface DiskWork {
  readonly file: RecordedFile;
  readonly around: Surroundings;
  readonly format: Qcow2Format;
  /** The file before the work. */
  readonly start: Uint8Array;
  readonly history: DiskHistory;
  /** Steps after which all before it was flushed. */
  readonly flushed: readonly number[];
}

export interface WorkOptions {
  readonly steps: number;
  readonly start?: DiskStart;
  /** Of steps that begin or end a time without space. */
  readonly limitShare?: number;
}

export function workOn(
  chances: Chances,
  { steps, start: startsAs = 'empty', limitShare = 0 }: WorkOptions,
): DiskWork {
  const format = randomFormat(chances, startsAs);
  const history = new DiskHistory(format.sizeBytes);
  const first = new RecordedFile();
  formatQcow2(first, format);
  const around = beginAs(startsAs, chances, first, history);
  const start = Uint8Array.from(first.bytes);
  const file = new RecordedFile(start);
  const flushed = [0];
  const image = openInMemory(file, around);
  const worker = { chances, image, history, file, around };
  for (let step = 1; step <= steps; step++) {
    if (chances.chance(limitShare))
      file.limitBytes = file.limitBytes === Infinity ? file.sizeBytes() + chances.below(3) * 512 : Infinity;
    file.mark(step);
    try {
      if (doStep(worker, step)) flushed.push(step);
    } catch (error) {
      if (!(error instanceof DiskError && error.errno === ENOSPC)) throw error;
      history.resize(image.sizeBytes, step); // a resize may not have come to that
      history.failed(step);
    }
  }
  file.limitBytes = Infinity;
  file.mark(steps + 1);
  image.close();
  flushed.push(steps + 1);
  file.mark(steps + 2);
  return { file, around, format, start, history, flushed };
}

interface Worker {
  readonly chances: Chances;
  readonly image: Qcow2Image;
  readonly history: DiskHistory;
  readonly file: RecordedFile;
  readonly around: Surroundings;
}

/** True: a flush. */
function doStep(worker: Worker, step: number): boolean {
  const { chances, image, history, file } = worker;
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
  } else if (kind < 0.83) resize(worker, step);
  else {
    const isDurable = image.flush() && chances.chance(0.8);
    if (isDurable) file.sync(); // otherwise nobody was told that it is flushed
    return isDurable;
  }
  return false;
}

/** Over a backing file it only grows: what of that is behind the end may show in between when it shrinks. */
function resize({ chances, image, history, around }: Worker, step: number): void {
  const shrinks = around.base === undefined && chances.chance(0.4);
  const sectors = image.sizeBytes / SECTOR_BYTES;
  const wanted = shrinks ? 1 + chances.below(sectors) : sectors + chances.below(200);
  if (shrinks) history.resize(wanted * SECTOR_BYTES, step);
  image.resize(wanted * SECTOR_BYTES);
  history.resize(wanted * SECTOR_BYTES, step);
}

/**
 * The crash test: seeded work on an image, cut anywhere. What was synced is there, and any part of what came
 * later. A killed process loses nothing of the page cache, so only this tells whether syncs are where they
 * must be.
 */
import assert from 'node:assert/strict';
import { checkQcow2 } from '../../vmm-core/backends/disk/checkImage.ts';
import { seededRandom } from './bytes.ts';
import { Chances } from './chances.ts';
import { type DiskStart, openInMemory, STARTS } from './diskStart.ts';
import { type DiskWork, workOn } from './diskWork.ts';
import { openSnapshot } from './innerSnapshot.ts';
import { CutFiles, RecordedFile } from './recordedFile.ts';

const STEPS = 60;
export const CUTS_PER_WORK = 25;
/** Of what was below an image in snapshot mode nothing may change; of itself nothing is left. */
export const CUT_STARTS = STARTS.filter((it) => it !== 'in snapshot mode');
/** Of works, those that run out of space now and then. */
const FULL_SHARE = 0.3;

export interface Crashes {
  readonly start: DiskStart;
  readonly firstSeed: number;
  readonly cuts: number;
  /** Gets each image as it was left. */
  readonly judge?: (image: Uint8Array) => void;
}

/** Throws with the seed that repeats it. */
export function crash({ start, firstSeed, cuts, judge = () => undefined }: Crashes): void {
  for (let done = 0, seed = firstSeed; done < cuts; done += CUTS_PER_WORK, seed++) {
    try {
      crashWork(seed, start, judge);
    } catch (cause) {
      throw new Error(`${start}, seed ${seed}: ${(cause as Error).message}`, { cause });
    }
  }
}

/** Each seed has another start. */
export function crashOne(seed: number): void {
  const start = CUT_STARTS[seed % CUT_STARTS.length] ?? 'empty';
  crash({ start, firstSeed: seed, cuts: CUTS_PER_WORK });
}

/** All cuts of one piece of work. */
function crashWork(seed: number, start: DiskStart, judge: (image: Uint8Array) => void): void {
  const chances = new Chances(seededRandom(seed));
  const limitShare = chances.chance(FULL_SHARE) ? 0.1 : 0;
  const work = workOn(chances, { steps: STEPS, start, limitShare });
  const { base, isUnsafe = false } = work.around;
  assert.deepEqual(base?.log ?? [], [], 'the backing file was changed');
  if (isUnsafe) return; // nobody looks at what is left of it
  const files = new CutFiles(work.start, work.file.log);
  const places = Array.from({ length: CUTS_PER_WORK }, () => chances.below(work.file.log.length + 1));
  for (const end of places.sort((a, b) => a - b)) {
    const image = files.cutAt(end, chances.random);
    assertSound(work, image, end);
    if (start === 'with a snapshot inside') work.history.assertHolds(openSnapshot(image), 0, 0);
    judge(image);
  }
}

function assertSound(work: DiskWork, image: Uint8Array, end: number): void {
  const file = new RecordedFile(image);
  if (work.format.hasLazyRefcounts) openInMemory(file).close(); // repairs it
  const { errors, problems } = checkQcow2(new RecordedFile(file.bytes), { repairsLeaks: false });
  assert.equal(errors, 0, problems.join('; '));
  const marks = work.file.log.slice(0, end).flatMap((it) => (it.kind === 'mark' ? [it.step] : []));
  const last = marks.at(-1) ?? 0;
  const flushed = work.flushed.filter((it) => it < last).at(-1) ?? 0;
  work.history.assertHolds(openInMemory(new RecordedFile(file.bytes), work.around), flushed, last);
}

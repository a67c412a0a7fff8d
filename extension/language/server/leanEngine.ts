/**
 * Imported first, for its effect. A language server is idle nearly all its life and few files are large, so
 * V8 is told to stay small: no optimising compiler (its part of the binary alone is 4 MB), tight heaps, and
 * garbage collected before there is much of it. An edit leaves a copy of the whole text behind, which V8
 * would leave alone until there are 8 MB. Code that needs speed asks for it, and has it until things are
 * quiet again.
 */
import { getHeapSpaceStatistics, getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const SMALL_SEMISPACES = ['--semi-space-growth-factor=1'];
const SMALL = ['--no-opt', '--optimize-for-size', ...SMALL_SEMISPACES];
const FAST = ['--opt', '--no-optimize-for-size'];

/**
 * What is read lives until it is read again: with small semispaces, a key press is 30 collections that free
 * next to nothing.
 */
const FAST_SEMISPACE_FACTOR = 4;
/** Both of them, grown. */
const FAST_NEW_SPACE = 2 ** 23;

const BUSY_GARBAGE = 2 ** 21;
const FAST_GARBAGE = 3 * 2 ** 23;
const QUIET_GARBAGE = 2 ** 18;
const QUIET_MS = 500;

let busyGarbage = BUSY_GARBAGE;
let timer: NodeJS.Timeout | undefined;

prefer(SMALL);
setFlagsFromString('--expose-gc'); // takes effect in contexts created afterwards
/** Some 10 ms with 10 000 lines open. */
const collect = runInNewContext('globalThis.gc') as ((options?: { type: 'minor' }) => void) | undefined;
let collected = getHeapStatistics().used_heap_size;

function prefer(flags: readonly string[]): void {
  for (const flag of flags) setFlagsFromString(flag);
}

/**
 * While the user types where much of a large file depends on it: a key press takes a third of the time, and
 * 30 MB.
 */
export function preferSpeed(): void {
  if (busyGarbage === FAST_GARBAGE) return;
  prefer(FAST);
  busyGarbage = FAST_GARBAGE;
  growSemispaces();
}

/** By one step, once. V8 takes a step when it collects: left to itself it would go on to 32 MB. */
function growSemispaces(): void {
  const newSpace = getHeapSpaceStatistics().find((it) => it.space_name === 'new_space');
  if (newSpace === undefined || newSpace.space_size >= FAST_NEW_SPACE) return;
  prefer([`--semi-space-growth-factor=${FAST_SEMISPACE_FACTOR}`]);
  collect?.({ type: 'minor' });
  prefer(SMALL_SEMISPACES);
}

/**
 * After an answer was sent: collects when much has accumulated, and everything once no more requests come.
 */
export function tidyUp(): void {
  collectBeyond(busyGarbage);
  if (timer === undefined) timer = setTimeout(quiet, QUIET_MS).unref();
  else timer.refresh();
}

function quiet(): void {
  prefer(SMALL);
  const wasFast = busyGarbage === FAST_GARBAGE;
  busyGarbage = BUSY_GARBAGE;
  collectBeyond(wasFast ? -Infinity : QUIET_GARBAGE); // V8 may have collected meanwhile, and kept what it got
}

function collectBeyond(bytes: number): void {
  if (getHeapStatistics().used_heap_size - collected < bytes) return;
  collect?.();
  collected = getHeapStatistics().used_heap_size;
}

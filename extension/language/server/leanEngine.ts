/**
 * Imported first, for its effect. A language server waits nearly all of its life and few files are large, so V8 is told to be small: no
 * optimising compiler (its part of the binary alone is 4 MB), tight heaps, and garbage collected before there is much of it. An edit
 * leaves a copy of the whole text behind, which V8 would let lie until there are 8 MB. Who needs speed asks for it.
 */
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--no-opt');
setFlagsFromString('--optimize-for-size');
// Trees live long and garbage is little: a young generation that grows would only make the process larger.
setFlagsFromString('--semi-space-growth-factor=1');
setFlagsFromString('--expose-gc'); // shows in contexts that are made after it

/** Some 10 ms with 10 000 lines open. */
const collect = runInNewContext('globalThis.gc') as (() => void) | undefined;

let busyGarbage = 2 ** 21;
const QUIET_GARBAGE = 2 ** 18;
const QUIET_MS = 500;

let collected = getHeapStatistics().used_heap_size;
let timer: NodeJS.Timeout | undefined;

/** After an answer was sent: collects when it has become much, and whatever there is once nothing more is asked. */
export function tidyUp(): void {
  collectBeyond(busyGarbage);
  timer ??= setTimeout(() => {
    timer = undefined;
    collectBeyond(QUIET_GARBAGE);
  }, QUIET_MS).unref();
}

/** From here on, while somebody types where much depends on it. */
export function preferSpeed(): void {
  setFlagsFromString('--opt');
  busyGarbage = 2 ** 24;
}

function collectBeyond(bytes: number): void {
  if (getHeapStatistics().used_heap_size - collected < bytes) return;
  collect?.();
  collected = getHeapStatistics().used_heap_size;
}

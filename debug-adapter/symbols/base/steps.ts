/**
 * Work in steps: a generator that yields wherever it may be interrupted. Run to the end where nothing else
 * waits (the command line, a worker), in slices where the event loop serves others too.
 */
export type Steps<T> = Generator<unknown, T, undefined>;

/** An editor notices delays from about 50 ms on. */
const SLICE_MS = 15;

export function finish<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

export async function inSlices<T>(steps: Steps<T>): Promise<T> {
  let sliceEnd = performance.now() + SLICE_MS;
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (performance.now() < sliceEnd) continue;
    await new Promise((resolve) => setImmediate(resolve));
    sliceEnd = performance.now() + SLICE_MS;
  }
}

/** Whether memory has only zeros: by memcmp, which no loop of JavaScript comes near. */

const HEAD = new Uint8Array(64);
const BLOCK_BYTES = 64 << 10;

export function isZero(bytes: Uint8Array): boolean {
  if (bytes[0] !== 0) return false;
  const headBytes = Math.min(HEAD.length, bytes.length);
  if (Buffer.compare(bytes.subarray(0, headBytes), HEAD.subarray(0, headBytes)) !== 0) return false;
  // each byte is the one before it, as far apart as the head is long: one stream of memory, where a block of
  // zeros to compare with would be another
  return Buffer.compare(bytes.subarray(headBytes), bytes.subarray(0, bytes.length - headBytes)) === 0;
}

/** How many bytes, whole units, are zeros from `from` on. The last unit may be short. */
export function zerosFrom(bytes: Uint8Array, from: number, unitBytes: number): number {
  let at = from;
  for (const step of [bytes.length, Math.max(unitBytes, BLOCK_BYTES), unitBytes])
    while (at < bytes.length && bytes[at] === 0 && isZero(bytes.subarray(at, at + step)))
      at = Math.min(at + step, bytes.length);
  return at - from;
}

/** What is done with the bytes of a run, from `start` to before `end`. */
export interface Runs {
  data(start: number, end: number): void;
  zeros?(start: number, end: number): void;
}

/** Goes through the runs of whole units that are zeros, and what is between them, in their order. */
export function eachRun(bytes: Uint8Array, unitBytes: number, runs: Runs): void {
  let start = 0;
  for (let at = 0; at < bytes.length;) {
    const zeros = zerosFrom(bytes, at, unitBytes);
    if (zeros === 0) at += unitBytes;
    else {
      if (at > start) runs.data(start, at);
      runs.zeros?.(at, at + zeros);
      start = at += zeros;
    }
  }
  if (start < bytes.length) runs.data(start, bytes.length);
}

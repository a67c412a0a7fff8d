/** What a derived image has of its own goes into its backing file. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { IoBuffer } from '../../memory/ioBuffer.ts';
import type { CopyOptions } from './copyImage.ts';
import type { RawImage } from './rawImage.ts';
import type { Qcow2Image } from './qcow2/qcow2Image.ts';
import { eachRun } from './zeros.ts';

/** At least: read and written at once. */
const RUN_BYTES = 2 << 20;

/**
 * `base` is the image behind `top`, open to be written. Whatever interrupts it, `top` reads as before: it is
 * emptied when all is on disk.
 */
export async function commitImage(
  top: Qcow2Image,
  base: RawImage | Qcow2Image,
  options: CopyOptions = {},
): Promise<void> {
  if (base.sizeBytes < top.sizeBytes) base.resize(top.sizeBytes);
  const buffer = new IoBuffer(Math.max(RUN_BYTES, top.clusterBytes));
  for (let at = 0; at < top.sizeBytes;) {
    options.signal?.throwIfAborted();
    const lengthBytes = ownFrom(top, at, buffer.bytes.length);
    if (lengthBytes === 0) at += top.clusterBytes;
    else {
      const bytes = buffer.bytes.subarray(0, lengthBytes);
      top.read(at, bytes);
      const offset = at;
      eachRun(bytes, top.clusterBytes, {
        data: (start, end) => base.write(offset + start, bytes.subarray(start, end)),
        zeros: (start, end) => base.writeZeroes(offset + start, end - start, true), // gives their place back
      });
      at += lengthBytes;
      options.onProgress?.(at);
      await nextTurn();
    }
  }
  base.flush();
  base.sync();
  top.becomeEmpty();
}

/** How many bytes from here on are clusters of its own, at most `limit`. */
function ownFrom(top: Qcow2Image, offset: number, limit: number): number {
  const end = Math.min(offset + limit, top.sizeBytes);
  let at = offset;
  while (at < end && top.hasOwn(at)) at += top.clusterBytes;
  return Math.min(at, end) - offset;
}

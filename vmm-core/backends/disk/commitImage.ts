/** What a derived image has of its own goes into its backing file. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { IoBuffer } from '../../memory/ioBuffer.ts';
import type { CopyOptions } from './copyImage.ts';
import type { RawImage } from './rawImage.ts';
import type { Qcow2Image } from './qcow2/qcow2Image.ts';
import { isZero } from './zeros.ts';

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
  const buffer = new IoBuffer(top.clusterBytes);
  for (let at = 0; at < top.sizeBytes; at += top.clusterBytes) {
    options.signal?.throwIfAborted();
    const lengthBytes = Math.min(top.clusterBytes, top.sizeBytes - at);
    if (!top.hasOwn(at)) continue;
    const bytes = buffer.bytes.subarray(0, lengthBytes);
    top.read(at, bytes);
    if (isZero(bytes)) base.writeZeroes(at, lengthBytes, true);
    else base.write(at, bytes);
    options.onProgress?.(at + lengthBytes);
    await nextTurn();
  }
  base.flush();
  base.sync();
  top.becomeEmpty();
}

/**
 * Decompressors for sections under Node: zlib is Node's own, zstd a library, because Node 20 has none. None
 * produces more than asked for.
 */
import { inflateSync } from 'node:zlib';
import type { Decompressors } from '../../../vmm-core/elf/compressedSection.ts';
import { unzstd } from './zstd.ts';

export const NODE_DECOMPRESSORS: Decompressors = {
  zlib: (compressed, sizeBytes) => inflateSync(compressed, { maxOutputLength: Math.max(sizeBytes, 1) }),
  zstd: unzstd,
};

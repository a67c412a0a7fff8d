/** What inflates compressed sections under Node: zlib is Node's own, zstd a library, because Node 20 has none. */
import { inflateSync } from 'node:zlib';
import { decompress } from 'fzstd';
import type { Decompressors } from '../../vmm-core/elf/compressedSection.ts';

export const NODE_DECOMPRESSORS: Decompressors = {
  zlib: (compressed, sizeBytes) => inflateSync(compressed, { maxOutputLength: Math.max(sizeBytes, 1) }),
  // Without a buffer of ours: linkers that compress in parallel leave several frames, which fzstd then joins.
  zstd: (compressed) => decompress(compressed),
};

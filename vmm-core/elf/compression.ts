/**
 * Files that are compressed as a whole: kernels and modules as distributions ship them, told by their magic.
 */

export interface Compression {
  readonly method: string;
  /** The command that unpacks a file named after it. */
  readonly command: string;
  readonly magic: readonly number[];
}

/**
 * All but gzip, which callers handle themselves. lzma has no magic: it begins with its usual properties.
 */
const COMPRESSIONS: readonly Compression[] = [
  { method: 'xz', command: 'xz -dk', magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00] },
  { method: 'zstd', command: 'zstd -dk', magic: [0x28, 0xb5, 0x2f, 0xfd] },
  { method: 'bzip2', command: 'bzip2 -dk', magic: [0x42, 0x5a, 0x68] },
  { method: 'lzma', command: 'lzma -dk', magic: [0x5d, 0x00, 0x00] },
  { method: 'lz4', command: 'lz4 -d', magic: [0x04, 0x22, 0x4d, 0x18] },
  { method: 'lz4', command: 'lz4 -d', magic: [0x02, 0x21, 0x4c, 0x18] }, // the legacy frame that Linux uses
  { method: 'lzop', command: 'lzop -d', magic: [0x89, 0x4c, 0x5a, 0x4f, 0x00] },
];

/** `head`: the first bytes of the file. */
export function compressionOf(head: Uint8Array): Compression | undefined {
  return COMPRESSIONS.find(({ magic }) => magic.every((byte, i) => head[i] === byte));
}

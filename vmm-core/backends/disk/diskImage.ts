/**
 * A disk image, whatever its format: where the bytes of the disk are in files. Data moves between those files
 * and the guest without passing through here (devices/virtio/blk/); an image moves only what its format makes
 * it: metadata, copies on write, compressed clusters. On one thread at a time, and that may block it for as
 * long as the file's disk takes: the I/O thread, or a command such as `vmm convert`.
 *
 * Offsets and lengths are bytes of the disk, inside it, and multiples of SECTOR_BYTES. Methods throw
 * DiskError.
 */
export const SECTOR_BYTES = 512;

export const EXTENT = {
  /** In a file: `fd`, `fileOffset`. */
  DATA: 0,
  /** Reads as zeros, whether it has a place in the file or not. */
  ZERO: 1,
  /** `readPacked` reads it. */
  PACKED: 2,
} as const;

/** Filled by `locate`, so that looking a place up allocates nothing. */
export interface Extent {
  kind: (typeof EXTENT)[keyof typeof EXTENT];
  fd: number;
  fileOffset: number;
  /** From the offset asked for; at most what was asked for, more than 0. */
  lengthBytes: number;
}

export function newExtent(): Extent {
  return { kind: EXTENT.ZERO, fd: -1, fileOffset: 0, lengthBytes: 0 };
}

export interface DiskImage {
  readonly format: string;
  readonly sizeBytes: number;
  readonly isReadOnly: boolean;
  /** Smallest unit that discards and zeroes give back. */
  readonly clusterBytes: number;
  /**
   * Of transfers, the offset in the file, the lengths and the addresses in memory must be multiples of it: 1
   * through the page cache, what O_DIRECT asks for otherwise. Never more than `clusterBytes`.
   */
  readonly alignmentBytes: number;

  /**
   * DATA extents may reach beyond the end of their file, and there read as zeros. Otherwise a file that ends
   * early has lost data.
   */
  readonly mayEndEarly: boolean;

  /** Where to read the first bytes of the range. */
  locate(offset: number, lengthBytes: number, extent: Extent): void;
  /** Fills `into` from a PACKED extent that begins at `offset`. */
  readPacked(offset: number, into: Uint8Array): void;
  /** The same, but that another thread unpacks it, and `into` is filled when the promise is fulfilled. */
  readPackedAhead(offset: number, into: Uint8Array): Promise<void>;
  /** Reads whatever is there, on this thread: for commands, copies, and what others cannot transfer. */
  read(offset: number, into: Uint8Array): void;
  /** See read. */
  write(offset: number, bytes: Uint8Array): void;

  /**
   * Where to write the first bytes of the range: a DATA extent. When this returns true the place is new: the
   * data must be written there with no other call of this image in between, and then `commitWrite` be called.
   */
  prepareWrite(offset: number, lengthBytes: number, extent: Extent): boolean;
  /**
   * The data is written at the place that the last `prepareWrite` gave. From here on it is the disk's. Not
   * called when the data could not be written: the next call of the image takes the place back.
   */
  commitWrite(): void;

  /**
   * The range's content is of no interest any more. Does what it can. As for `writeZeroes`, the caller has
   * made sure that nothing is under way in the range: its place may soon be another's.
   */
  discard(offset: number, lengthBytes: number): void;
  /** `mayUnmap`: its place may be given back. */
  writeZeroes(offset: number, lengthBytes: number, mayUnmap: boolean): void;

  /**
   * Writes metadata in the order that keeps the image valid wherever it is cut, with fdatasync between. One
   * more fdatasync of `fd` makes all that was written before durable: true when that is needed.
   */
  flush(): boolean;
  /** To sync after `flush`. */
  readonly fd: number;

  /** Grows, or shrinks where the format can; the caller has made sure that nothing is under way. */
  resize(sizeBytes: number): void;
  /** Flushes and marks the image as closed in order. Its descriptors are closed. */
  close(): void;
}

/** A file as a ByteSource, read on demand: guest images, symbol files. */
import { closeSync, readSync, type Stats } from 'node:fs';
import { bytesSource, type ByteSource } from '../elf/byteSource.ts';
import { openRegularFile, type RegularFile } from './regularFile.ts';

export { NotAFileError } from './regularFile.ts';

export interface FileSource extends ByteSource {
  /** Changes when the file is rebuilt: see versionOf. */
  readonly version: string;
  /** Reads after it throw. */
  close(): void;
}

export interface FileSourceOptions {
  /**
   * Files up to this size are read at once, so that a rebuild in place does not change them under us.
   */
  readonly wholeUpToBytes?: number;
}

/**
 * For programs with thousands of files: open only while it is read, so that it costs neither a descriptor
 * nor memory. Throws the errors of node:fs, and NotAFileError.
 */
export function openOccasionalSource(path: string): FileSource {
  const opened = openFileSource(path);
  const { name, sizeBytes, version } = opened;
  opened.close();
  return {
    name,
    sizeBytes,
    version,
    close: () => undefined,
    readInto(offset, target) {
      const source = openFileSource(path);
      try {
        if (source.version !== version) throw new RangeError(`${path} was rebuilt`);
        source.readInto(offset, target);
      } finally {
        source.close();
      }
    },
  };
}

/** Throws the errors of node:fs, and NotAFileError. */
export function openFileSource(path: string, options: FileSourceOptions = {}): FileSource {
  const source = new OpenFile(path, openRegularFile(path));
  if (source.sizeBytes > (options.wholeUpToBytes ?? 0)) return source;
  try {
    const bytes = new Uint8Array(source.sizeBytes);
    source.readInto(0, bytes);
    return { ...bytesSource(path, bytes), version: source.version, close: () => undefined };
  } finally {
    source.close();
  }
}

export function versionOf(stat: Stats): string {
  return `${stat.ino}:${stat.size}:${stat.mtimeMs}`;
}

class OpenFile implements FileSource {
  readonly name: string;
  readonly sizeBytes: number;
  readonly version: string;
  #fd: number;

  constructor(path: string, { fd, stat }: RegularFile) {
    this.name = path;
    this.sizeBytes = stat.size;
    this.version = versionOf(stat);
    this.#fd = fd;
  }

  readInto(offset: number, target: Uint8Array): void {
    // A closed descriptor's number may be another file's by now.
    if (this.#fd < 0) throw new RangeError(`${this.name}: read after it was closed`);
    for (let done = 0; done < target.length;) {
      const count = readSync(this.#fd, target, done, target.length - done, offset + done);
      if (count <= 0)
        throw new RangeError(`${this.name}: read past the end at 0x${(offset + done).toString(16)}`);
      done += count;
    }
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }
}

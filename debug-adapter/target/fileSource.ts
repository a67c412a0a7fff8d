/** A file as a ByteSource. Small ones are read whole, so that a rebuild in place does not change them under our feet. */
import { closeSync, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { bytesSource, type ByteSource } from '../../vmm-core/elf/byteSource.ts';

const READ_WHOLE_BYTES = 32 * 1024 * 1024;

export interface OpenFile {
  readonly source: ByteSource;
  /** Changes when the file is rebuilt. */
  readonly version: string;
  close(): void;
}

/** Throws the errors of node:fs. */
export function openFile(path: string): OpenFile {
  const fd = openSync(path, 'r');
  const stat = fstatSync(fd);
  if (stat.size <= READ_WHOLE_BYTES) {
    try {
      const bytes = new Uint8Array(stat.size);
      readFully(fd, 0, bytes, path);
      return { source: bytesSource(path, bytes), version: versionOf(stat), close: () => undefined };
    } finally {
      closeSync(fd);
    }
  }
  const source: ByteSource = {
    name: path,
    sizeBytes: stat.size,
    readInto: (offset, target) => readFully(fd, offset, target, path),
  };
  return { source, version: versionOf(stat), close: () => closeSync(fd) };
}

export function versionOf(stat: Stats): string {
  return `${stat.ino}:${stat.size}:${stat.mtimeMs}`;
}

function readFully(fd: number, offset: number, target: Uint8Array, path: string): void {
  let done = 0;
  while (done < target.length) {
    const count = readSync(fd, target, done, target.length - done, offset + done);
    if (count === 0) throw new RangeError(`${path}: read past the end at 0x${(offset + done).toString(16)}`);
    done += count;
  }
}

/** A file as a ByteSource: the kernel and the initrd. Kept open for the VM's life, so that a reset loads them again (and sees a rebuild). */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { ByteSource } from '../elf/byteSource.ts';
import { UserError } from '../errors.ts';

export interface OpenFile extends ByteSource {
  close(): void;
}

/** `what` for messages: "kernel", "initrd". Throws UserError when the path is not a readable file. */
export function openFile(path: string, what: string): OpenFile {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (cause) {
    throw new UserError(`cannot open the ${what} ${path}: ${reason(cause)}`, { cause });
  }
  const stat = fstatSync(fd);
  if (!stat.isFile()) {
    closeSync(fd);
    throw new UserError(`the ${what} ${path} is not a file: give the path of an image`);
  }
  return {
    name: path,
    sizeBytes: stat.size,
    readInto: (offset, target) => readFully(fd, path, offset, target),
    close: () => closeSync(fd),
  };
}

function readFully(fd: number, path: string, offset: number, target: Uint8Array): void {
  for (let done = 0; done < target.length;) {
    const count = readSync(fd, target, done, target.length - done, offset + done);
    if (count === 0) throw new RangeError(`${path}: the file ends at 0x${(offset + done).toString(16)}`);
    done += count;
  }
}

function reason(cause: unknown): string {
  switch ((cause as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return 'there is no such file; check the path, or build it first';
    case 'EACCES':
      return 'no permission to read it; check its mode and its folder';
    default:
      return (cause as Error).message;
  }
}

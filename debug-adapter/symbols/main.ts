/** `dist/symbols.js`: the entry of `vmm sym`. Everything it does is in cli.ts. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { inflateSync } from 'node:zlib';
import type { ByteSource } from '../../vmm-core/elf/byteSource.ts';
import { run } from './cli.ts';

/** A file read where it is asked for. The descriptor lives as long as the process. */
export function openFile(path: string): ByteSource {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new Error(`cannot open ${path}: ${code === 'ENOENT' ? 'no such file' : code}`, { cause: error });
  }
  const { size, isFile } = ((stat) => ({ size: stat.size, isFile: stat.isFile() }))(fstatSync(fd));
  if (!isFile) {
    closeSync(fd);
    throw new Error(`${path} is not a regular file`);
  }
  return {
    name: path,
    sizeBytes: size,
    readInto(offset, target) {
      let done = 0;
      while (done < target.length) {
        const count = readSync(fd, target, done, target.length - done, offset + done);
        if (count <= 0)
          throw new RangeError(`${path}: read past the end at 0x${(offset + done).toString(16)}`);
        done += count;
      }
    },
  };
}

export function main(argv: readonly string[]): Promise<number> {
  return run(argv, {
    open: openFile,
    inflate: (compressed) => inflateSync(compressed),
    lines: () => createInterface({ input: process.stdin, crlfDelay: Infinity }),
    write: (text) => void process.stdout.write(text),
    writeError: (text) => void process.stderr.write(text),
  });
}

// The bundle is run (`node dist/symbols.js`) or loaded by `vmm`, which calls main() itself.
if (/symbols\.js$|symbols[\\/]main\.ts$/.test(process.argv[1] ?? '')) {
  // A reader that went away (`| head`) is no error.
  process.stdout.on('error', () => process.exit(0));
  void main(process.argv.slice(2)).then((code) => {
    process.exitCode = code;
  });
}

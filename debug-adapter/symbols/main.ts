/** `dist/symbols.js`: the entry of `vmm sym`. Everything it does is in cli.ts. */
import { createInterface } from 'node:readline';
import { NotAFileError, openFileSource } from '../../vmm-core/client/fileSource.ts';
import type { ByteSource } from '../../vmm-core/elf/byteSource.ts';
import { run } from './cli.ts';
import { NODE_DECOMPRESSORS } from './decompressors.ts';

/** Throws with a sentence for the user. */
function openFile(path: string): ByteSource {
  try {
    return openFileSource(path);
  } catch (error) {
    if (error instanceof NotAFileError) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new Error(`cannot open ${path}: ${code === 'ENOENT' ? 'no such file' : code}`, { cause: error });
  }
}

export function main(argv: readonly string[]): Promise<number> {
  return run(argv, {
    open: openFile,
    decompressors: NODE_DECOMPRESSORS,
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

/** `dist/symbols.js`: the entry of `vmm sym`. Everything it does is in commandLine.ts. */
import { basename } from 'node:path';
import {
  type FileSource,
  NotAFileError,
  openFileSource,
  openOccasionalSource,
} from '../../../vmm-core/client/fileSource.ts';
import { endProcess, standardError, standardOutput } from '../../../vmm-core/client/output.ts';
import { NODE_DECOMPRESSORS } from '../files/decompressors.ts';
import { obtainIndex } from '../index/indexLoader.ts';
import { run } from './commandLine.ts';
import { textLines } from './textLines.ts';

const SHOWN_AFTER_MS = 1000;

/** Throws with a sentence for the user. */
function openFile(path: string): FileSource {
  try {
    return openFileSource(path);
  } catch (error) {
    if (error instanceof NotAFileError) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new Error(`cannot open ${path}: ${code === 'ENOENT' ? 'no such file' : code}`, { cause: error });
  }
}

export function main(argv: readonly string[]): Promise<number> {
  // The first file is the one that is asked about; the others are parts of it.
  let opened: FileSource | undefined;
  return run(argv, {
    open: (path) => (opened === undefined ? (opened = openFile(path)) : openOccasionalSource(path)),
    decompressors: NODE_DECOMPRESSORS,
    loadIndex: async (image, mayBuild) => {
      if (opened === undefined) return undefined;
      const progress = terminalProgress(`reading the names of ${basename(opened.name)}`);
      try {
        const { name: path, version } = opened;
        const onProgress = (fraction: number): void => progress.report(fraction);
        return await obtainIndex({ path, version, image, mayBuild, onProgress, onProblem: warn });
      } finally {
        progress.end();
      }
    },
    lines: () => textLines(process.stdin),
    write: async (text) => {
      if (!standardOutput.write(text)) await standardOutput.drained();
    },
    writeError: (text) => void standardError.write(text),
  });
}

function warn(message: string): void {
  standardError.write(`vmm sym: ${message}\n`);
}

/** A line on the terminal for work that takes more than a second; removed when it is done. */
function terminalProgress(what: string): { report(fraction: number): void; end(): void } {
  const { stderr } = process;
  const shownFromMs = performance.now() + SHOWN_AFTER_MS;
  let isShown = false;
  return {
    report(fraction) {
      if (!stderr.isTTY || performance.now() < shownFromMs) return;
      isShown = true;
      stderr.write(`\r${what}: ${Math.floor(fraction * 100)} %`);
    },
    end() {
      if (isShown) stderr.write('\r\x1b[K');
    },
  };
}

// The bundle is run (`node dist/symbols.js`) or loaded by `vmm`, which calls main() itself.
if (/symbols\.js$|symbols[\\/]main\.ts$/.test(process.argv[1] ?? '')) {
  void main(process.argv.slice(2)).then(endProcess);
}

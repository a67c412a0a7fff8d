/** Compiles the test programs into a directory of their own and opens what comes out; used by the differential tests. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { NODE_DECOMPRESSORS } from '../../debug-adapter/symbols/decompressors.ts';
import {
  type SymbolImage,
  type SymbolImageOptions,
  openSymbolImage,
} from '../../debug-adapter/symbols/symbolImage.ts';
import { openFileSource, openOccasionalSource } from '../../vmm-core/client/fileSource.ts';

export const PROGRAMS = fileURLToPath(new URL('programs', import.meta.url));

/** Whether a tool can be started; tests that need it skip with the reason when not. */
export function missingTool(...tools: string[]): string | undefined {
  for (const tool of tools) {
    try {
      execFileSync(tool, ['--version'], { stdio: 'ignore', timeout: 20_000 });
    } catch {
      return `${tool} is not installed`;
    }
  }
  return undefined;
}

/** A directory for a test file's programs, removed when the process ends. */
export function scratchDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'trapframe-symbols-'));
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export function compile(
  compiler: string,
  source: string,
  output: string,
  options: readonly string[],
): string {
  // clang leaves .dwo files in the working directory.
  execFileSync(compiler, [...options, '-o', output, join(PROGRAMS, source)], {
    timeout: 60_000,
    cwd: dirname(output),
  });
  return output;
}

export function run(tool: string, args: readonly string[], input?: string): string {
  return execFileSync(tool, args, {
    encoding: 'utf8',
    timeout: 110_000,
    maxBuffer: 1 << 28,
    ...(input !== undefined && { input }),
    stdio: ['pipe', 'pipe', 'ignore'],
  });
}

export function openImage(path: string, options: SymbolImageOptions = {}): SymbolImage {
  return openSymbolImage(openFileSource(path), {
    ...options,
    decompressors: NODE_DECOMPRESSORS,
    openDwo: (dwo) => (existsSync(dwo) ? openOccasionalSource(dwo) : undefined),
  });
}

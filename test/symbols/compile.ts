/**
 * Compiles the test programs into a directory of their own and opens what comes out; used by the differential
 * tests.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { NODE_DECOMPRESSORS } from '../../debug-adapter/symbols/files/decompressors.ts';
import type { SymbolImage, SymbolImageOptions } from '../../debug-adapter/symbols/symbolImage.ts';
import { openFileSource, openOccasionalSource } from '../../vmm-core/client/fileSource.ts';
import { openSymbolImage } from '../../debug-adapter/symbols/openSymbolImage.ts';

export const PROGRAMS = fileURLToPath(new URL('programs', import.meta.url));

/** Whether a tool can be started; tests that need it skip with the reason if not. */
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

/** Options that move debug information elsewhere and leave the code as it is. */
const FORMS_OF_DEBUG_INFO = new Set(['-gsplit-dwarf', '-fdebug-types-section']);

/**
 * The options of a program's plain twin, which gdb is asked about in its place: releases of gdb lose the
 * location lists of clang's split units, or half the rows of units beside type units, and which of them do is
 * not what we test. None for a plain program.
 */
export function twinOptions(options: readonly string[]): readonly string[] | undefined {
  const plain = options.filter((option) => !FORMS_OF_DEBUG_INFO.has(option));
  return plain.length < options.length ? plain : undefined;
}

/** Answers about one are answers about the other: the same code at the same addresses. */
export function assertSameCode(one: string, other: string): void {
  assert.deepEqual(codeOf(one), codeOf(other), `${other} has the code of ${one}`);
}

function codeOf(program: string): string[] {
  const headers = run('readelf', ['-SW', program]);
  const places = [...headers.matchAll(/\.(?:text|data|rodata|bss) +\w+ +[0-9a-f]+ [0-9a-f]+ [0-9a-f]+/g)];
  return [...places.map(([row]) => row.replace(/ +/g, ' ')), run('readelf', ['-x', '.text', program])];
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

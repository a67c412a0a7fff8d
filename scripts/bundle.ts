/**
 * How a source file becomes one file of JavaScript, for build.ts and for starting our programs without a
 * build.
 */
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { type BuildOptions, buildSync } from 'esbuild';

export const ROOT = path.join(import.meta.dirname, '..');

/** esbuild keeps the entry's own `#!` line; `shebang` is for an executable that has none. */
export function bundleOptions(source: string, outfile: string, { shebang = false } = {}): BuildOptions {
  return {
    absWorkingDir: ROOT,
    entryPoints: [source],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    external: ['vscode', 'koffi'],
    mainFields: ['module', 'main'], // vscode-languageserver and friends: their UMD `main` cannot be bundled
    // A VM starts 5 ms sooner when there is less to parse; names stay, so that stack traces can be read.
    minifyWhitespace: true,
    minifySyntax: true,
    sourcemap: true,
    sourcesContent: false,
    banner: { js: shebang ? '#!/usr/bin/env node' : '' },
    define: {
      __TRAPFRAME_VERSION__: JSON.stringify(packageVersion()),
      'import.meta.dirname': '__dirname',
      'import.meta.filename': '__filename',
    },
    logLevel: 'warning',
    // `import.meta.url` does not exist in CommonJS: the two above replace it.
    logOverride: { 'empty-import-meta': 'error' },
  };
}

function packageVersion(): string {
  return (JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as { version: string }).version;
}

const bundles = new Map<string, string>();

/**
 * A program of ours without a build, `source` relative to the repository: in one file it starts in a fifth of
 * the time that its sources take under tsx. Returns the path of the bundle, which is made once per process
 * and removed with it.
 */
export function bundled(source: string): string {
  const known = bundles.get(source);
  if (known !== undefined) return known;
  // Inside the repository, where node finds the packages that are not bundled.
  const name = source.replaceAll('/', '-').replace(/\.ts$/, '.js');
  const file = path.join(ROOT, '.tsbuild/bundles', String(process.pid), name);
  if (bundles.size === 0)
    process.once('exit', () => rmSync(path.dirname(file), { recursive: true, force: true }));
  buildSync(bundleOptions(source, file));
  bundles.set(source, file);
  return file;
}

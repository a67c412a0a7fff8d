/**
 * The suite of test/extension/suite as the one file that an extension host can load: CommonJS, with only
 * `vscode` outside.
 */
import path from 'node:path';
import { build } from 'esbuild';

const ROOT = path.join(import.meta.dirname, '..');

/** Returns its path. The caller sets TRAPFRAME_ROOT to the repository. */
export async function bundleExtensionSuite(): Promise<string> {
  const outfile = path.join(ROOT, 'test-artifacts/extension/helloSuite.js');
  await build({
    entryPoints: [path.join(ROOT, 'test/extension/suite/helloSuite.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    external: ['vscode'],
    define: { 'import.meta.dirname': '__dirname' }, // CommonJS has no import.meta
    logLevel: 'warning',
  });
  return outfile;
}

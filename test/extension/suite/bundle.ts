/** The suite as the one file that an extension host can load: CommonJS, with only `vscode` outside. */
import path from 'node:path';
import { build } from 'esbuild';
import { ROOT } from '../support/root.ts';

/** Returns its path. */
export async function bundleSuite(): Promise<string> {
  const outfile = path.join(ROOT, 'test-artifacts/extension/helloSuite.js');
  await build({
    entryPoints: [path.join(import.meta.dirname, 'helloSuite.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    external: ['vscode'],
    // CommonJS has no import.meta; TRAPFRAME_ROOT says where the repository is.
    define: { 'import.meta.dirname': '__dirname' },
    logLevel: 'warning',
  });
  return outfile;
}

/**
 * The package that users install, for what uses the product as they do: the demo and the tests in VS Code.
 */
import { execFile } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

const ROOT = path.join(import.meta.dirname, '..');
const DIST = path.join(ROOT, 'dist');
const VSIX = path.join(DIST, 'trapframe.vsix');

/** Builds and packages. Returns the path of the .vsix; throws an Error with what the tools said. */
export async function packageVsix(): Promise<string> {
  try {
    await promisify(execFile)('npm', ['run', '--silent', 'package'], { cwd: ROOT, maxBuffer: 16 << 20 });
    return VSIX;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`"npm run package" failed:\n${stdout}${stderr}`, { cause: error });
  }
}

/** Like packageVsix, unless the package is newer than every bundle in dist. */
export async function ensureVsix(): Promise<string> {
  const packedMs = statSync(VSIX, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const bundles = readdirSync(DIST).filter((it) => /\.(js|wasm)$/.test(it));
  const builtMs = bundles.map((it) => statSync(path.join(DIST, it)).mtimeMs);
  const isCurrent = builtMs.length > 0 && Math.max(...builtMs) <= packedMs;
  return isCurrent ? VSIX : packageVsix();
}

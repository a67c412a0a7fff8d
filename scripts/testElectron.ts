/**
 * `npm run test:electron`: test/extension/suite in a desktop VS Code, which is downloaded; for machines that
 * may download it and have a display (or `xvfb-run -a npm run test:electron`). Takes the newest VS Code; `--
 * 1.100.3` takes that one.
 */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { runTests } from '@vscode/test-electron';
import { bundleExtensionSuite } from './extensionSuite.ts';

const ROOT = path.join(import.meta.dirname, '..');
const SAMPLE = path.join(ROOT, 'samples/hello');

async function main([version = 'stable']: readonly string[]): Promise<void> {
  if (!process.env['DISPLAY'] && !process.env['WAYLAND_DISPLAY']) {
    throw new Error('no display: run "xvfb-run -a npm run test:electron"');
  }
  await promisify(execFile)('npm', ['run', '--silent', 'build'], { cwd: ROOT });
  await runTests({
    version,
    extensionDevelopmentPath: ROOT,
    extensionTestsPath: await bundleExtensionSuite(),
    extensionTestsEnv: { TRAPFRAME_ROOT: ROOT },
    launchArgs: [SAMPLE, '--disable-extensions', '--disable-workspace-trust', '--skip-welcome'],
  });
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});

/** `npm run build`, quietly. */
import { execFile } from 'node:child_process';
import path from 'node:path';

/** Returns what it printed when it failed. */
export function buildForTests(root: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const args = ['--import', 'tsx', path.join(root, 'scripts/build.ts')];
    execFile(process.execPath, args, { cwd: root }, (error, stdout, stderr) => {
      resolve(error === null ? undefined : `${stdout}${stderr}`.trim() || error.message);
    });
  });
}

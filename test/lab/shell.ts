/**
 * `node --import tsx test/lab/shell.ts [FILE.lab.ts…]`: L1 with a shell on this terminal, and the bundles of
 * those files in it.
 */
import path from 'node:path';
import { prepareLab, runShell } from './lab.ts';

async function main(): Promise<void> {
  const missing = await prepareLab();
  if (missing !== undefined) throw new Error(missing);
  await runShell(process.argv.slice(2).map((it) => path.resolve(it)));
}

main().catch((error: unknown) => {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
});

/**
 * The entry of dist/vmm.js. Commands whose start is what a user waits for start from V8's code cache; the
 * others load main.ts as any program does.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { keepCode, readProgram } from './code/codeCache.ts';
import { runProgram, wasCompiled } from './code/program.ts';
import { onVmCreated } from './code/vmCreated.ts';

const MAIN = join(import.meta.dirname, 'vmm-main.js');
/** Commands that run the same parts of it. */
const USES: Readonly<Record<string, readonly string[]>> = {
  run: ['run'],
  serve: ['serve'],
  images: ['create', 'convert', 'resize', 'info', 'commit'],
};
/** A VM has started, and all of that is in V8's memory yet: later it drops what does not run again. */
const STARTED_MS = 1000;

function startFromCache(use: string): void {
  const program = readProgram(MAIN, use);
  const script = runProgram(program);
  if (!wasCompiled(script, program)) return;
  let isDue = false;
  const keep = (): void => {
    if (isDue) keepCode(program, script.createCachedData());
    isDue = false;
  };
  const started = (): void => {
    isDue = true;
    setTimeout(keep, STARTED_MS).unref();
  };
  process.once('exit', keep); // which may be sooner; before that of a VM, which leaves no time for others
  // A core that waits has not compiled yet what its user will wait for.
  if (use === 'serve') onVmCreated(started);
  else started();
}

const command = process.argv[2] ?? '';
const use = Object.keys(USES).find((it) => USES[it]?.includes(command));
if (use !== undefined) startFromCache(use);
else createRequire(import.meta.filename)(MAIN);

/**
 * The entry of dist/vmm.js. The commands that become a VM's process start from V8's code cache, since their
 * start is what a user waits for; the others load main.ts as any program does.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { keepCode, readProgram } from './code/codeCache.ts';
import { runProgram, wasCompiled } from './code/program.ts';

const MAIN = join(import.meta.dirname, 'vmm-main.js');
const VM_COMMANDS = ['run', 'serve'];
/** The VM has started, and all of that is in V8's memory yet: later it drops what does not run again. */
const STARTED_MS = 1000;

function startFromCache(): void {
  const program = readProgram(MAIN);
  const script = runProgram(program);
  if (!wasCompiled(script, program)) return;
  let isKept = false;
  const keep = (): void => {
    if (!isKept) keepCode(program, script.createCachedData());
    isKept = true;
  };
  setTimeout(keep, STARTED_MS).unref();
  process.once('exit', keep); // a guest may be quicker
}

if (VM_COMMANDS.includes(process.argv[2] ?? '')) startFromCache();
else createRequire(import.meta.filename)(MAIN);

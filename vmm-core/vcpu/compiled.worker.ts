/** The thread of a vCPU, started from V8's code cache (code/), or leaving the code for the next one. */
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { type Program, runProgram, wasCompiled } from '../code/program.ts';
import type { CompiledMessage } from './messages.ts';

export function startVcpuThread(program: Program, post: (message: CompiledMessage) => void): void {
  const script = runProgram(program);
  if (wasCompiled(script, program)) post({ kind: 'compiled', code: script.createCachedData() });
}

if (!isMainThread) startVcpuThread(workerData as Program, (message) => parentPort?.postMessage(message));

/**
 * Starts the threads that vCPUs run on. Starting one takes longer than anything else at boot (a JavaScript engine of its own), so that
 * a program that will need one starts it first and does the rest meanwhile. The only spawner of vcpu.worker.ts; loads no koffi.
 */
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';

const WORKER_FILE = 'vcpu.worker.js';

let spare: Worker | undefined;

/** Starts a thread now for the spawnVcpuWorker that follows. */
export function prestartVcpuWorker(): void {
  spare ??= start();
}

/** A thread without a vCPU yet. */
export function spawnVcpuWorker(): Worker {
  const worker = spare ?? start();
  spare = undefined;
  return worker;
}

function start(): Worker {
  // A kick is a signal that only has to interrupt KVM_RUN; without a handler it would end the process.
  if (process.listenerCount('SIGUSR2') === 0) process.on('SIGUSR2', () => undefined);
  return new Worker(join(import.meta.dirname, WORKER_FILE), {
    resourceLimits: { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64 },
  });
}

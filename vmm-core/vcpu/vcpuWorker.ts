/** Starts the threads that vCPUs run on. The only spawner of vcpu.worker.ts. */
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';

const WORKER_FILE = 'vcpu.worker.js';

/** A thread without a vCPU yet. It takes longer to start than all else at boot: a JavaScript engine of its own. */
export function spawnVcpuWorker(): Worker {
  // A kick is a signal that only has to interrupt KVM_RUN; without a handler it would end the process.
  if (process.listenerCount('SIGUSR2') === 0) process.on('SIGUSR2', () => undefined);
  return new Worker(join(import.meta.dirname, WORKER_FILE), {
    resourceLimits: { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64 },
  });
}

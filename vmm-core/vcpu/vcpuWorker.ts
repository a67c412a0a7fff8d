/** Starts the threads that vCPUs run on. The only spawner of vcpu.worker.ts. */
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { VcpuAssignment, VcpuMessage } from './messages.ts';

const WORKER_FILE = 'vcpu.worker.js';

/** A thread without a vCPU yet. It takes longer to start than all else at boot: a JavaScript engine of its own. */
export class VcpuWorker {
  onMessage: (message: VcpuMessage) => void = () => undefined;
  readonly #worker: Worker;
  #failure: Error | undefined;
  #onFailure: (error: Error) => void = () => undefined;
  #isEnding = false;

  constructor(file: string = join(import.meta.dirname, WORKER_FILE)) {
    // A kick is a signal that only has to interrupt KVM_RUN; without a handler it would end the process.
    if (process.listenerCount('SIGUSR2') === 0) process.on('SIGUSR2', () => undefined);
    this.#worker = new Worker(file, {
      resourceLimits: { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64 },
    });
    this.#worker.on('message', (message: VcpuMessage) => this.onMessage(message));
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', (code) => this.#fail(new Error(`it ended with exit code ${code}`)));
  }

  /** Called when the thread dies of a bug or cannot start; at once when it is dead already. */
  set onFailure(listener: (error: Error) => void) {
    this.#onFailure = listener;
    if (this.#failure !== undefined) listener(this.#failure);
  }

  /** The vCPU to run. Once. */
  assign(assignment: VcpuAssignment): void {
    this.#worker.postMessage(assignment);
  }

  async terminate(): Promise<void> {
    this.#isEnding = true;
    await this.#worker.terminate();
  }

  #fail(error: Error): void {
    if (this.#isEnding || this.#failure !== undefined) return;
    this.#failure = error;
    this.#onFailure(error);
  }
}

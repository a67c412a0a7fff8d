/** Starts the threads that vCPUs run on. The only spawner of vcpu.worker.ts. */
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { exitNow } from '../kvm/libc.ts';
import type { VcpuAssignment, VcpuMessage } from './messages.ts';

const WORKER_FILE = 'vcpu.worker.js';

let isProcessReady = false;

/** Once, before the first thread. */
function prepareProcess(): void {
  if (isProcessReady) return;
  isProcessReady = true;
  // A kick is a signal that only has to interrupt KVM_RUN; without a handler it would end the process.
  process.on('SIGUSR2', () => undefined);
  // node would first terminate the threads one by one: one in KVM_RUN does not react, and one still loading
  // koffi aborts the process (its initialisation does not survive an exception). What node does after this
  // event is lost: --cpu-prof writes nothing.
  process.on('exit', exitNow);
}

/**
 * A thread without a vCPU yet. Nothing at boot takes longer to start: it has its own JavaScript engine.
 */
export class VcpuWorker {
  onMessage: (message: VcpuMessage) => void = () => undefined;
  readonly #worker: Worker;
  #failure: Error | undefined;
  #onFailure: (error: Error) => void = () => undefined;
  #isDismissed = false;

  constructor(file: string = join(import.meta.dirname, WORKER_FILE)) {
    prepareProcess();
    this.#worker = new Worker(file, {
      // Not piped to ours: it writes to the descriptor (log.ts), and node would warn of so many listeners.
      stdout: true,
      stderr: true,
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

  /**
   * It will get no VM: the thread ends as soon as it has started. Not by terminate(), see prepareProcess.
   */
  dismiss(): void {
    this.#isDismissed = true;
    this.#worker.postMessage('dismissed');
  }

  #fail(error: Error): void {
    if (this.#isDismissed || this.#failure !== undefined) return;
    this.#failure = error;
    this.#onFailure(error);
  }
}

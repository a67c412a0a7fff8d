/** Starts the threads that vCPUs run on. The only spawner of vcpu.worker.ts. */
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { keepCode, readProgram } from '../code/codeCache.ts';
import type { Program } from '../code/program.ts';
import { prepareForBlockingThreads } from '../kvm/blockingThreads.ts';
import type { CompiledMessage, VcpuAssignment, VcpuMessage } from './messages.ts';

const FILE = join(import.meta.dirname, 'vcpu.worker.js');
/** Runs it. */
const COMPILED_FILE = join(import.meta.dirname, 'compiled.worker.js');

/** One of several threads that had no code cache has left it. */
let isCodeKept = false;

/** Starts them side by side. */
export function startVcpuWorkers(count: number): VcpuWorker[] {
  if (count === 0) return [];
  const program = readProgram(FILE);
  return Array.from({ length: count }, () => new VcpuWorker(program));
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

  /** `starter`: the file that runs `program`. */
  constructor(program: Program = readProgram(FILE), starter: string = COMPILED_FILE) {
    prepareForBlockingThreads();
    this.#worker = new Worker(starter, {
      workerData: program,
      // Not piped to ours: it writes to the descriptor (log.ts), and node would warn of so many listeners.
      stdout: true,
      stderr: true,
      // A third is a semispace, which V8 rounds up to a power of two: 1 MB is its least, the next is 2.
      resourceLimits: { maxYoungGenerationSizeMb: 3, maxOldGenerationSizeMb: 64 },
    });
    const { file, cacheFile, sourceCrc } = program; // the rest need not stay in memory
    this.#worker.on('message', (message: VcpuMessage | CompiledMessage) => {
      if (message.kind !== 'compiled') return this.onMessage(message);
      if (!isCodeKept) keepCode({ file, cacheFile, sourceCrc }, message.code);
      isCodeKept = true;
    });
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
   * It will get no VM: the thread ends as soon as it has started. Not by terminate(): see
   * kvm/blockingThreads.ts.
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

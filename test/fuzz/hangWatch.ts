/**
 * A round that never ends holds its thread, so that no timer there could tell of it. Another thread names the
 * seed on stderr then, and kills the process.
 */
import path from 'node:path';
import { Worker } from 'node:worker_threads';

const WORKER_FILE = path.join(import.meta.dirname, 'hangWatch.worker.mjs');
const [ROUND, SEED] = [0, 1];
const ENDED = -1;

export class HangWatch {
  readonly #state = new Int32Array(new SharedArrayBuffer(8));

  /** `name`: the fuzzer's. */
  constructor(name: string, limitMs: number) {
    const workerData = { state: this.#state, name, limitMs };
    new Worker(WORKER_FILE, { workerData, execArgv: [] }).unref();
  }

  startRound(seed: number): void {
    Atomics.store(this.#state, SEED, seed);
    Atomics.add(this.#state, ROUND, 1);
  }

  end(): void {
    Atomics.store(this.#state, ROUND, ENDED);
    Atomics.notify(this.#state, ROUND);
  }
}

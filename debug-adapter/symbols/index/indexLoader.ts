/**
 * Gets the index of an image that is a file: from the store, or from a thread that builds it. The only
 * spawner of symbolIndexer.worker.ts.
 */
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import type { ImageIdentity } from './imageIndex.ts';
import { indexKey, IndexStore } from './indexStore.ts';
import type { SymbolIndexData } from './symbolIndex.ts';
import type { IndexerInput, IndexerMessage } from './symbolIndexer.worker.ts';

const WORKER_FILE = 'symbolIndexer.worker.js';

export interface IndexRequest {
  /** The file, and its state when it was opened: see FileSource. */
  readonly path: string;
  readonly version: string;
  readonly image: ImageIdentity;
  /** Whether one is built when none was kept. */
  readonly mayBuild: boolean;
  readonly store?: IndexStore;
  /** Fractions, while it is built. */
  readonly onProgress?: (fraction: number) => void;
  /** Told to the user: the index cannot be kept. */
  readonly onProblem?: (message: string) => void;
  /** Aborted: the answer is undefined. */
  readonly signal?: AbortSignal;
}

/**
 * Undefined when there is none or it was cancelled. Rejects when the thread fails: then it can still be built
 * without one.
 */
export async function obtainIndex(request: IndexRequest): Promise<SymbolIndexData | undefined> {
  const { path: file, version, image, store = new IndexStore() } = request;
  const key = indexKey(image, request);
  const kept = await store.read(key);
  if (kept !== undefined || !request.mayBuild || request.signal?.aborted === true) return kept;
  return runWorker({ path: path.resolve(file), version, key, storeDirectory: store.directory }, request);
}

function runWorker(input: IndexerInput, request: IndexRequest): Promise<SymbolIndexData | undefined> {
  const worker = new Worker(path.join(import.meta.dirname, WORKER_FILE), {
    workerData: input,
    // What it reads dies young: a large nursery would only cost memory.
    resourceLimits: { maxYoungGenerationSizeMb: 8 },
  });
  return new Promise((resolve, reject) => {
    const cancel = (): void => {
      resolve(undefined);
      void worker.terminate();
    };
    request.signal?.addEventListener('abort', cancel, { once: true });
    worker.on('message', (message: IndexerMessage) => {
      switch (message.kind) {
        case 'progress':
          return request.onProgress?.(message.fraction);
        case 'failed':
          return reject(new Error(message.message));
        case 'done':
          if (message.problem !== undefined) request.onProblem?.(message.problem);
          return resolve(message.data);
      }
    });
    worker.once('error', reject);
    worker.once('exit', (code) => {
      request.signal?.removeEventListener('abort', cancel);
      reject(new Error(`the thread that reads symbols ended with code ${code}`)); // after `done` this changes nothing
    });
  });
}

/**
 * The thread that builds the index of a large image and keeps it on disk. It reads the file itself and shares
 * nothing; to cancel it is to terminate it.
 */
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import {
  type FileSource,
  openFileSource,
  openOccasionalSource,
} from '../../../vmm-core/client/fileSource.ts';
import { bytesSource } from '../../../vmm-core/elf/byteSource.ts';
import { parseElf } from '../../../vmm-core/elf/elfFile.ts';
import { LoadedUnits, PageCache } from '../../dwarf/caches.ts';
import { DwarfFile } from '../../dwarf/dwarfFile.ts';
import { NODE_DECOMPRESSORS } from '../files/decompressors.ts';
import { elfSectionLoader, placed } from '../files/imageSections.ts';
import { unpacked } from '../files/packedFile.ts';
import { openSupplement } from '../files/supplement.ts';
import { buildIndex } from './buildIndex.ts';
import { type IndexKey, IndexStore } from './indexStore.ts';
import type { SymbolIndexData } from './symbolIndex.ts';

export interface IndexerInput {
  readonly path: string;
  /** Of the file whose index is wanted: it may have been rebuilt meanwhile. */
  readonly version: string;
  readonly key: IndexKey;
  readonly storeDirectory: string;
}

export type IndexerMessage =
  | { readonly kind: 'progress'; readonly fraction: number }
  /** `problem`: why the index could not be kept on disk. */
  | { readonly kind: 'done'; readonly data: SymbolIndexData; readonly problem: string | undefined }
  | { readonly kind: 'failed'; readonly message: string };

const PROGRESS_INTERVAL_MS = 100;
/** Each unit is read once, in turn: few are worth keeping. */
const MAX_UNIT_BYTES = 1 << 20;
const MAX_PAGES = 512; // 8 MiB for all sections

export function runIndexer(input: IndexerInput, post: (message: IndexerMessage) => void): void {
  const source = openFileSource(input.path);
  try {
    if (source.version !== input.version) {
      post({ kind: 'failed', message: `${input.path} was rebuilt` });
      return;
    }
    const bytes = unpacked(source);
    const elf = placed(parseElf(bytes === undefined ? source : bytesSource(source.name, bytes)), undefined);
    // The thread that answers questions reports what is broken: here it is only left out.
    const file = new DwarfFile(
      elfSectionLoader(elf, NODE_DECOMPRESSORS, () => undefined),
      {
        littleEndian: elf.littleEndian,
        supplement: openSupplement(elf, {
          open: openIfThere,
          decompressors: NODE_DECOMPRESSORS,
          note: () => undefined,
        }),
        caches: { units: new LoadedUnits(MAX_UNIT_BYTES), pages: new PageCache(MAX_PAGES) },
      },
    );
    const data = buildWithProgress(file, (fraction) => post({ kind: 'progress', fraction }));
    post({ kind: 'done', data, problem: store(input, data) });
  } finally {
    source.close();
  }
}

function openIfThere(path: string): FileSource | undefined {
  try {
    return openOccasionalSource(path);
  } catch {
    return undefined;
  }
}

function buildWithProgress(file: DwarfFile, progress: (fraction: number) => void): SymbolIndexData {
  const steps = buildIndex(file);
  let toldMs = performance.now();
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (performance.now() - toldMs < PROGRESS_INTERVAL_MS) continue;
    toldMs = performance.now();
    progress(step.value);
  }
}

function store({ key, storeDirectory }: IndexerInput, data: SymbolIndexData): string | undefined {
  try {
    new IndexStore(storeDirectory).write(key, data);
    return undefined;
  } catch (error) {
    return `cannot keep the index of symbols in ${storeDirectory}: ${(error as Error).message}`;
  }
}

if (!isMainThread) {
  runIndexer(workerData as IndexerInput, (message) => {
    const tables =
      message.kind === 'done' ? Object.values(message.data).map((it: Uint8Array) => it.buffer) : [];
    parentPort?.postMessage(message, tables as ArrayBuffer[]);
  });
}

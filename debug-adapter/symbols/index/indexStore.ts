/**
 * Indexes kept on disk between sessions, one file for each image, in the user's cache. A file is named by the
 * image's build-id, and by the path and state of the image when it has none. Files are written beside their
 * place and renamed, so that a file is always complete, however many processes write; the least recently used
 * go when there are too many.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { readFile, utimes } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import type { ImageIdentity } from './imageIndex.ts';
import { decodeIndex, encodeIndex } from './indexFile.ts';
import type { SymbolIndexData } from './symbolIndex.ts';

const SUFFIX = '.index';
const TEMPORARY_SUFFIX = '.tmp';
/** A writer takes seconds: anything older was left by one that was killed. */
const TEMPORARY_MAX_AGE_MS = 3600_000;

export interface StoreLimits {
  /** A larger index is not kept. */
  readonly maxFileBytes: number;
  readonly maxTotalBytes: number;
}

/** A distribution's kernel takes 4 MB. */
const LIMITS: StoreLimits = { maxFileBytes: 64 << 20, maxTotalBytes: 256 << 20 };

/** The key of an index. Plain data: it goes to a worker. */
export interface IndexKey {
  readonly fileName: string;
  /** Must be the same in the file: a stripped or rewritten copy of an image has its build-id. */
  readonly identity: string;
}

/** `version` changes with the file (see FileSource): it stands in for a build-id. */
export function indexKey(
  image: ImageIdentity,
  file: { readonly path: string; readonly version: string },
): IndexKey {
  const { buildId, sections } = image;
  const identity = `${buildId ?? `${path.resolve(file.path)} ${file.version}`} ${sections}`;
  const digest = createHash('sha256').update(identity).digest('hex');
  return { fileName: `${buildId ?? 'no-build-id'}-${digest.slice(0, 16)}${SUFFIX}`, identity };
}

/** `trapframe/symbols` in $XDG_CACHE_HOME or ~/.cache. */
export function defaultStoreDirectory(): string {
  const xdg = process.env['XDG_CACHE_HOME'];
  // A relative one is to be ignored (XDG Base Directory Specification).
  const base = xdg !== undefined && path.isAbsolute(xdg) ? xdg : path.join(homedir(), '.cache');
  return path.join(base, 'trapframe', 'symbols');
}

export class IndexStore {
  readonly directory: string;
  readonly #limits: StoreLimits;

  constructor(directory: string = defaultStoreDirectory(), limits: StoreLimits = LIMITS) {
    this.directory = directory;
    this.#limits = limits;
  }

  /** Undefined when there is none that can be used. */
  async read(key: IndexKey): Promise<SymbolIndexData | undefined> {
    const file = path.join(this.directory, key.fileName);
    try {
      if ((statSync(file, { throwIfNoEntry: false })?.size ?? Infinity) > this.#limits.maxFileBytes)
        return undefined;
      const bytes = await readFile(file);
      const data = decodeIndex(alignedBytes(bytes), key.identity);
      const now = new Date();
      if (data !== undefined) await utimes(file, now, now).catch(() => undefined); // read-only: it then ages
      return data;
    } catch {
      return undefined; // no permission, evicted meanwhile: as good as missing
    }
  }

  /** Throws the errors of node:fs: no space, no permission. */
  write(key: IndexKey, data: SymbolIndexData): void {
    const bytes = encodeIndex(data, key.identity);
    if (bytes.length > this.#limits.maxFileBytes) return;
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    this.#makeRoom(key.fileName, bytes.length);
    const temporary = path.join(this.directory, `${key.fileName}.${randomUUID()}${TEMPORARY_SUFFIX}`);
    try {
      writeFileSync(temporary, bytes, { mode: 0o600, flag: 'wx' });
      renameSync(temporary, path.join(this.directory, key.fileName));
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  }

  /** Removes the oldest files until another of that size fits, and what killed writers left. */
  #makeRoom(fileName: string, sizeBytes: number): void {
    const files = readdirSync(this.directory).flatMap((name) => {
      const file = path.join(this.directory, name);
      const stat = statSync(file, { throwIfNoEntry: false });
      return stat === undefined ? [] : [{ name, file, sizeBytes: stat.size, usedMs: stat.mtimeMs }];
    });
    for (const { name, file, usedMs } of files) {
      if (name.endsWith(TEMPORARY_SUFFIX) && usedMs < Date.now() - TEMPORARY_MAX_AGE_MS)
        rmSync(file, { force: true });
    }
    const kept = files.filter(({ name }) => name.endsWith(SUFFIX) && name !== fileName);
    let totalBytes = kept.reduce((sum, it) => sum + it.sizeBytes, sizeBytes);
    for (const it of kept.sort((a, b) => a.usedMs - b.usedMs)) {
      if (totalBytes <= this.#limits.maxTotalBytes) break;
      rmSync(it.file, { force: true });
      totalBytes -= it.sizeBytes;
    }
  }
}

/** Small files come in slices of a buffer that others share. */
function alignedBytes(bytes: Uint8Array): Uint8Array {
  return bytes.byteOffset % 8 === 0 ? bytes : Uint8Array.from(bytes);
}

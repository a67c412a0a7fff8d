/**
 * Between the source paths a compiler recorded and the files in the editor. The recorded path may be relative
 * or from another machine; what the editor gets must be a file that exists.
 */
import { realpathSync, statSync } from 'node:fs';
import path from 'node:path';

/** How many folders above the ELF are searched for a recorded relative path. */
const SEARCHED_PARENTS = 4;

export class SourcePaths {
  /** Recorded prefix to local prefix, longest first. */
  readonly #map: readonly (readonly [string, string])[];
  /** Recorded path to the path of a breakpoint that was found to mean it. */
  readonly #learned = new Map<string, string>();
  readonly #cache = new Map<string, string | undefined>();

  constructor(sourceMap: Readonly<Record<string, string>> = {}) {
    this.#map = Object.entries(sourceMap).sort(([a], [b]) => b.length - a.length);
  }

  /**
   * The existing file behind a recorded path, `undefined` when there is none. `elfPath` names the ELF that
   * recorded it.
   */
  toEditor(recorded: string, elfPath: string): string | undefined {
    const key = `${elfPath}\0${recorded}`;
    if (!this.#cache.has(key))
      this.#cache.set(key, this.#find(recorded, path.dirname(path.resolve(elfPath))));
    return this.#cache.get(key) ?? this.#learned.get(recorded);
  }

  /**
   * The recorded paths that match an editor's file, best first; more than one only when they are equally
   * good.
   */
  toRecorded(
    file: string,
    recordedFiles: readonly { readonly file: string; readonly elfPath: string }[],
  ): string[] {
    const mapped = this.#reverseMap(file);
    const sameName = recordedFiles.filter((it) => path.basename(it.file) === path.basename(file));
    const exact = sameName.filter((it) => it.file === mapped || it.file === file);
    if (exact.length > 0) return unique(exact.map((it) => it.file));
    const real = realPath(file);
    const resolved = sameName.filter((it) => {
      const found = this.toEditor(it.file, it.elfPath);
      return found !== undefined && realPath(found) === real;
    });
    if (resolved.length > 0) return unique(resolved.map((it) => it.file));
    const best = longestSuffix(file, unique(sameName.map((it) => it.file)));
    for (const it of best) this.#learned.set(it, file);
    return best;
  }

  #reverseMap(file: string): string {
    for (const [from, to] of this.#map) {
      const rest = withoutPrefix(file, to);
      if (rest !== undefined) return joinPrefix(from, rest);
    }
    return file;
  }

  #find(recorded: string, elfDir: string): string | undefined {
    for (const [from, to] of this.#map) {
      const rest = withoutPrefix(recorded, from);
      if (rest === undefined) continue;
      const candidate = joinPrefix(to, rest);
      if (isFile(candidate)) return candidate;
    }
    if (path.isAbsolute(recorded) && isFile(recorded)) return path.normalize(recorded);
    return findBySuffix(recorded, elfDir);
  }
}

/** Tries the recorded path, then ever shorter tails of it, beside the ELF and in the folders above. */
function findBySuffix(recorded: string, elfDir: string): string | undefined {
  const parts = path
    .normalize(recorded)
    .split(path.sep)
    .filter((it) => it !== '' && it !== '..');
  for (let drop = 0; drop < parts.length; drop++) {
    const tail = parts.slice(drop).join(path.sep);
    // A bare name above the ELF's folder is a coincidence.
    const parents = parts.length - drop > 1 ? SEARCHED_PARENTS : 0;
    let folder = elfDir;
    for (let level = 0; level <= parents; level++) {
      const candidate = path.join(folder, tail);
      if (isFile(candidate)) return candidate;
      folder = path.dirname(folder);
    }
  }
  return undefined;
}

/**
 * Those that share the most trailing folders with `file`. A bare name counts only when it is the only one.
 */
function longestSuffix(file: string, candidates: readonly string[]): string[] {
  const scored = candidates.map((it) => ({ it, score: commonTail(file, it) }));
  const best = Math.max(0, ...scored.map(({ score }) => score));
  const winners = scored.filter(({ score }) => score === best && score > 0).map(({ it }) => it);
  return best > 1 || winners.length === 1 ? winners : [];
}

function commonTail(a: string, b: string): number {
  const left = path.normalize(a).split(path.sep).reverse();
  const right = path.normalize(b).split(path.sep).reverse();
  let count = 0;
  while (count < left.length && count < right.length && left[count] === right[count]) count += 1;
  return count;
}

/** The part of `file` after the folder `prefix`. */
function withoutPrefix(file: string, prefix: string): string | undefined {
  const folder = prefix.replace(/\/+$/, '');
  if (file === folder) return '';
  return file.startsWith(`${folder}/`) ? file.slice(folder.length + 1) : undefined;
}

function joinPrefix(prefix: string, rest: string): string {
  return rest === '' ? prefix : path.join(prefix, rest);
}

function isFile(candidate: string): boolean {
  try {
    return statSync(candidate, { throwIfNoEntry: false })?.isFile() === true;
  } catch {
    return false; // a link to itself, a name too long, a folder we may not enter
  }
}

function realPath(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return path.normalize(file); // not there: two spellings of a missing file are equal only as text
  }
}

function unique(items: readonly string[]): string[] {
  return [...new Set(items)];
}

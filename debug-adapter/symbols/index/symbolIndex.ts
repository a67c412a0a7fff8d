/**
 * What a large image is searched by: every file-scope name with its entries, every source file with the units
 * that have code from it. Flat arrays without strings: a kernel's quarter of a million names take 4 MB, in
 * memory and on disk (indexFile.ts).
 */
import { DW_TAG } from '../../dwarf/constants.ts';

/** Kinds of names. */
export const NAME_VARIABLE = 1;
export const NAME_FUNCTION = 2;
/** Typedefs and base types. */
export const NAME_TYPE = 3;
/** An enumerator; its entry is its enumeration. */
export const NAME_ENUMERATOR = 4;
export const NAME_STRUCTURE = 5;
export const NAME_UNION = 6;
export const NAME_ENUMERATION = 7;

export const TYPE_KINDS: readonly number[] = [NAME_TYPE, NAME_STRUCTURE, NAME_UNION, NAME_ENUMERATION];

/** The kind of an entry with that DW_TAG; 0 when it is none of these. */
export function nameKind(tag: number): number {
  switch (tag) {
    case DW_TAG.enumerator:
      return NAME_ENUMERATOR;
    case DW_TAG.variable:
      return NAME_VARIABLE;
    case DW_TAG.subprogram:
      return NAME_FUNCTION;
    case DW_TAG.base_type:
    case DW_TAG.typedef:
      return NAME_TYPE;
    case DW_TAG.structure_type:
    case DW_TAG.class_type:
      return NAME_STRUCTURE;
    case DW_TAG.union_type:
      return NAME_UNION;
    case DW_TAG.enumeration_type:
      return NAME_ENUMERATION;
    default:
      return 0;
  }
}

/**
 * Names are sorted by hash, files by path; the uses of file `n` are those from firstUse[n] up to firstUse[n +
 * 1].
 */
export interface SymbolIndexData {
  /** See hashName. */
  readonly hashes: Uint32Array;
  /** Section offset in .debug_info of the entry. */
  readonly offsets: Float64Array;
  /** NAME_… */
  readonly kinds: Uint8Array;
  /** UTF-8, each with a NUL. */
  readonly paths: Uint8Array;
  readonly pathStarts: Uint32Array;
  readonly firstUse: Uint32Array;
  /** Offset of the unit's header. */
  readonly useUnits: Float64Array;
  /** The file's number in the unit's line table. */
  readonly useFiles: Uint32Array;
  /** The lines of its first and last statement. */
  readonly useFirstLines: Uint32Array;
  readonly useLastLines: Uint32Array;
}

/** A unit that has code from a file. */
export interface FileUse {
  readonly unitOffset: number;
  readonly file: number;
  readonly firstLine: number;
  readonly lastLine: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class SymbolIndex {
  readonly data: SymbolIndexData;
  #knownPaths: readonly string[] | undefined;

  constructor(data: SymbolIndexData) {
    this.data = data;
  }

  /** Offsets of entries that may have that name: the caller compares, hashes collide. */
  *candidates(name: string, kinds: readonly number[]): Generator<number> {
    const { hashes, offsets, kinds: all } = this.data;
    const hash = hashName(encoder.encode(name));
    let low = 0;
    let high = hashes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((hashes[middle] as number) < hash) low = middle + 1;
      else high = middle;
    }
    for (let at = low; at < hashes.length && hashes[at] === hash; at++) {
      if (kinds.includes(all[at] as number)) yield offsets[at] as number;
    }
  }

  /** Every source path, sorted. */
  get paths(): readonly string[] {
    if (this.#knownPaths === undefined) {
      const { paths, pathStarts } = this.data;
      // Starts count bytes, so the text is cut before it is decoded.
      this.#knownPaths = Array.from(pathStarts, (start, index) =>
        decoder.decode(paths.subarray(start, (pathStarts[index + 1] ?? paths.length) - 1)),
      );
    }
    return this.#knownPaths;
  }

  /** Units with code from the file of that number in `paths`, in the order of their offsets. */
  usesOf(path: number): FileUse[] {
    const { firstUse, useUnits, useFiles, useFirstLines, useLastLines } = this.data;
    const uses: FileUse[] = [];
    for (let at = firstUse[path] ?? 0; at < (firstUse[path + 1] ?? 0); at++) {
      uses.push({
        unitOffset: useUnits[at] ?? 0,
        file: useFiles[at] ?? 0,
        firstLine: useFirstLines[at] ?? 0,
        lastLine: useLastLines[at] ?? 0,
      });
    }
    return uses;
  }
}

/** FNV-1a, 32 bits. */
export function hashName(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

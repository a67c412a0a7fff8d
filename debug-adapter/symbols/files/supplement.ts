/**
 * Finds and opens the supplementary file of an image (dwz -m): by its name, or by its id where distributions
 * keep them.
 */
import { realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import type { ByteSource } from '../../../vmm-core/elf/byteSource.ts';
import type { Decompressors } from '../../../vmm-core/elf/compressedSection.ts';
import { ElfError } from '../../../vmm-core/elf/elfError.ts';
import { type ElfFile, parseElf } from '../../../vmm-core/elf/elfFile.ts';
import { type SupplementLink, supplementId, supplementLink } from '../../../vmm-core/elf/supplementLink.ts';
import { LoadedUnits, PageCache } from '../../dwarf/caches.ts';
import { DwarfFile } from '../../dwarf/dwarfFile.ts';
import { joinPath } from '../base/sourcePath.ts';
import { elfSectionLoader } from './imageSections.ts';

export interface SupplementOptions {
  /** Undefined for a path that cannot be opened. */
  readonly open: ((path: string) => ByteSource | undefined) | undefined;
  readonly decompressors: Decompressors;
  readonly note: (message: string) => void;
}

const DEBUG_ROOT = '/usr/lib/debug';
const MAX_PAGES = 512; // 8 MiB
const MAX_UNIT_BYTES = 8 << 20;

/** Undefined for an image that needs none, and, with a note, when the one it needs is not found. */
export function openSupplement(elf: ElfFile, options: SupplementOptions): DwarfFile | undefined {
  const found = findSupplement(elf, options);
  if (found === undefined) return undefined;
  const note = (message: string): void => options.note(`${found.source.name}: ${message}`);
  return new DwarfFile(elfSectionLoader(found, options.decompressors, note), {
    littleEndian: found.littleEndian,
    onProblem: ({ message }) => note(message),
    caches: { units: new LoadedUnits(MAX_UNIT_BYTES), pages: new PageCache(MAX_PAGES) },
  });
}

function findSupplement(elf: ElfFile, { open, note }: SupplementOptions): ElfFile | undefined {
  const link = linkOf(elf, note);
  if (link === undefined) return undefined;
  let other: string | undefined;
  for (const path of new Set(placesOf(link, elf.source.name))) {
    const source = open?.(path);
    if (source === undefined) continue;
    try {
      const candidate = parseElf(source);
      const id = supplementId(candidate);
      if (id === link.id) return candidate;
      other ??= `${path} is from another build: its id is ${id ?? 'none'}, wanted ${link.id}`;
    } catch (error) {
      if (!(error instanceof ElfError || error instanceof RangeError)) throw error;
      other ??= `${path}: ${error.message}`;
    }
  }
  note(`${other ?? `${link.fileName} is missing`}; types, names and inlined functions in it are unknown`);
  return undefined;
}

function linkOf(elf: ElfFile, note: (message: string) => void): SupplementLink | undefined {
  try {
    return supplementLink(elf);
  } catch (error) {
    if (!(error instanceof ElfError)) throw error;
    note(error.message);
    return undefined;
  }
}

/** A relative name counts from where the file itself is, whatever links led there. */
function placesOf({ fileName, id }: SupplementLink, path: string): string[] {
  const [, belowDwz = fileName.slice(fileName.lastIndexOf('/') + 1)] =
    /(?:^|\/)\.dwz\/(.+)$/.exec(fileName) ?? [];
  const byId = id.length > 2 ? [`${DEBUG_ROOT}/.build-id/${id.slice(0, 2)}/${id.slice(2)}.debug`] : [];
  return [joinPath(dirname(realPath(path)), fileName), ...byId, `${DEBUG_ROOT}/.dwz/${belowDwz}`];
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path; // not of a file system
  }
}

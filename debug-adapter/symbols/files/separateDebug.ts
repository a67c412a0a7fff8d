/**
 * The file with the debug information of one that was stripped: by build-id under /usr/lib/debug, or where
 * .gnu_debuglink says, in the places where distributions and gdb keep them.
 */
import type { ByteSource } from '../../../vmm-core/elf/byteSource.ts';
import { debugLink } from '../../../vmm-core/elf/debugLink.ts';
import { ElfError } from '../../../vmm-core/elf/elfError.ts';
import { type ElfFile, findSection, parseElf } from '../../../vmm-core/elf/elfFile.ts';
import { buildId } from '../../../vmm-core/elf/elfNotes.ts';

const DEBUG_ROOT = '/usr/lib/debug';

export interface SeparateDebug<T extends ByteSource> {
  readonly source?: T;
  /** There was a file, but from another build. */
  readonly problem?: string;
}

/**
 * `open` answers undefined for a path that cannot be opened, `close` gets those that were of no use. Throws
 * nothing.
 */
export function findSeparateDebug<T extends ByteSource>(
  stripped: ByteSource,
  open: (path: string) => T | undefined,
  close: (source: T) => void = () => {},
): SeparateDebug<T> {
  const elf = parsed(stripped);
  if (elf === undefined || hasDebugInformation(elf)) return {};
  const wanted = buildId(elf);
  let problem: string | undefined;
  for (const path of placesOf(elf, wanted, stripped.name)) {
    if (path === stripped.name) continue;
    const source = open(path);
    const candidate = source && parsed(source);
    if (source === undefined) continue;
    const found = candidate && buildId(candidate);
    if (candidate !== undefined && hasDebugInformation(candidate) && found === wanted)
      return { source, ...(problem !== undefined && { problem }) };
    if (found !== wanted)
      problem ??= `${path} is from another build than ${stripped.name}: build-id ${found ?? 'none'}, wanted ${wanted ?? 'none'}`;
    close(source);
  }
  return problem === undefined ? {} : { problem };
}

function placesOf(elf: ElfFile, id: string | undefined, path: string): string[] {
  const places = id === undefined ? [] : [`${DEBUG_ROOT}/.build-id/${id.slice(0, 2)}/${id.slice(2)}.debug`];
  const name = debugLink(elf)?.fileName;
  if (name === undefined || name.includes('/')) return places;
  const folder = path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '.';
  places.push(`${folder}/${name}`, `${folder}/.debug/${name}`);
  if (folder.startsWith('/')) places.push(`${DEBUG_ROOT}${folder}/${name}`);
  return places;
}

function hasDebugInformation(elf: ElfFile): boolean {
  return ['.debug_info', '.zdebug_info', '.debug_line'].some((name) => findSection(elf, name) !== undefined);
}

function parsed(source: ByteSource): ElfFile | undefined {
  try {
    return parseElf(source);
  } catch (error) {
    if (error instanceof ElfError || error instanceof RangeError) return undefined;
    throw error;
  }
}

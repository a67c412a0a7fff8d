/**
 * .debug_aranges: which unit covers which addresses. DWARF 5 §6.1.2. The whole section is decoded at once: a
 * kernel's is 1 MB.
 */
import { DwarfError } from './dwarfError.ts';
import type { Reader } from './reader.ts';
import type { Section } from './section.ts';

export interface ArangeEntry {
  readonly start: number;
  readonly end: number;
  /** Offset of the unit in .debug_info. */
  readonly unitOffset: number;
}

/** Every range of every set; a broken set ends the list with `onProblem`, those before it stay. */
export function readAranges(section: Section, onProblem: (problem: DwarfError) => void): ArangeEntry[] {
  const entries: ArangeEntry[] = [];
  const reader = section.reader(0, section.sizeBytes);
  try {
    while (!reader.atEnd) readSet(reader, entries);
  } catch (error) {
    if (!(error instanceof DwarfError)) throw error;
    onProblem(error);
  }
  return entries;
}

function readSet(reader: Reader, entries: ArangeEntry[]): void {
  const setStart = reader.pos;
  const { length, is64 } = reader.initialLength();
  const setEnd = reader.pos + length;
  if (setEnd > reader.end) throw reader.error('address range set reaches past its section');
  const version = reader.u16();
  const unitOffset = reader.sectionOffset(is64);
  const addressSize = reader.u8();
  const segmentSize = reader.u8();
  if (version === 2 && segmentSize === 0) {
    // The first tuple is aligned to a multiple of the size of a tuple, counted from the set's start.
    const tupleBytes = 2 * addressSize;
    const misaligned = (reader.pos - setStart) % tupleBytes;
    if (misaligned !== 0) reader.skip(tupleBytes - misaligned);
    while (reader.pos + tupleBytes <= setEnd) {
      const start = reader.address(addressSize);
      const size = reader.address(addressSize);
      if (start === 0 && size === 0) break;
      if (size > 0) entries.push({ start, end: start + size, unitOffset });
    }
  }
  reader.pos = setEnd;
}

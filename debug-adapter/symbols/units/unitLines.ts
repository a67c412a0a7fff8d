/**
 * One unit's line table with its file names as paths, searchable by address. Rows are decoded when first
 * asked for.
 */
import {
  type LineRows,
  ROW_CONTINUES,
  ROW_END_SEQUENCE,
  ROW_IS_STMT,
  type Sequence,
  runLineProgram,
} from '../../dwarf/line.ts';
import { type LineHeader, type StringPlace, readLineHeader } from '../../dwarf/lineHeader.ts';
import type { Unit } from '../../dwarf/unit.ts';
import { joinPath } from '../base/sourcePath.ts';

export class UnitLines {
  readonly header: LineHeader;
  readonly #unit: Unit;
  readonly #paths: (string | undefined)[] = [];
  readonly #isCode: (address: number) => boolean;
  #decoded: LineRows | undefined;
  #liveSequences: readonly Sequence[] | undefined;

  /** `isCode` distinguishes real sequences from those of discarded functions. Throws DwarfError. */
  constructor(unit: Unit, lineOffset: number, isCode: (address: number) => boolean) {
    this.#unit = unit;
    this.#isCode = isCode;
    this.header = readLineHeader(
      unit.file.requireSection('.debug_line'),
      lineOffset,
      unit.header.addressSize,
    );
  }

  get rows(): LineRows {
    if (this.#decoded === undefined) {
      this.#decoded = runLineProgram(this.header);
      if (this.#decoded.problem !== undefined) this.#unit.file.report(this.#decoded.problem);
    }
    return this.#decoded;
  }

  get sequences(): readonly Sequence[] {
    return (this.#liveSequences ??= this.rows.sequences.filter(({ start }) => this.#isCode(start)));
  }

  /** The full path of a file by its number in the table. */
  path(index: number): string {
    return (this.#paths[index] ??= this.#makePath(index));
  }

  text(place: StringPlace): string {
    if (place.section === '') return '';
    return this.#unit.file.requireSection(place.section).string(place.offset);
  }

  /**
   * The row that covers an address: of several at one address the last, and when that one is not a statement
   * the one before it at the same address that begins one (as in gdb). -1 when none.
   */
  rowAt(address: number): number {
    const sequence = this.sequenceAt(address);
    if (sequence === undefined) return -1;
    const { address: addresses, file: files, line: lines, flags } = this.rows;
    let last = addresses.countUpTo(address, sequence.first, sequence.last) - 1;
    // Code without a line (line 0, §6.2.2) belongs to the line before it.
    while (last > sequence.first && lines[last] === 0) last--;
    const start = addresses.at(last);
    for (let row = last; row >= sequence.first && addresses.at(row) === start; row--) {
      if (((flags[row] as number) & ROW_IS_STMT) === 0) continue;
      // A further block of a statement gives way to the file's next line.
      const isFurtherBlock = ((flags[row] as number) & ROW_CONTINUES) !== 0;
      if (!isFurtherBlock || files[row] !== files[last]) return row;
    }
    return last;
  }

  sequenceAt(address: number): Sequence | undefined {
    const { sequences } = this;
    let low = 0;
    let high = sequences.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((sequences[middle] as Sequence).start <= address) low = middle + 1;
      else high = middle;
    }
    const sequence = sequences[low - 1];
    return sequence !== undefined && address < sequence.end ? sequence : undefined;
  }

  /** The first address after `row` that another row with a line starts at. */
  rowEnd(row: number): number {
    const { address, count, flags, line } = this.rows;
    let next = row + 1;
    const start = address.at(row);
    const isPartOfRow = (at: number): boolean =>
      address.at(at) === start || (line[at] === 0 && ((flags[at] as number) & ROW_END_SEQUENCE) === 0);
    while (next < count - 1 && isPartOfRow(next)) next++;
    return address.at(next);
  }

  /** The full path of a directory by its number in the table. */
  directory(index: number): string {
    return joinPath(this.#unit.root.compDir ?? '', this.text(this.header.directories.name(index)));
  }

  #makePath(index: number): string {
    const { files, version } = this.header;
    const compDir = this.#unit.root.compDir ?? '';
    // Before version 5 file 0 does not exist; producers use it for the unit's own file.
    if (index >= files.length || (version < 5 && index === 0))
      return joinPath(compDir, this.#unit.root.name ?? '');
    return joinPath(this.directory(files.directory(index)), this.text(files.name(index)));
  }
}

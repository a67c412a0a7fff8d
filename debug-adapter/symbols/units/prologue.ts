/**
 * Where a function's prologue ends, from its line rows: the compiler's own mark if there is one; else the
 * start of the second statement, for code that was not optimised. Optimised code of gcc has its variables'
 * places right from the first instruction (location lists), so there a breakpoint goes on the first
 * instruction, as gdb does.
 */
import { DW_LANG } from '../../dwarf/constants.ts';
import { ROW_END_SEQUENCE, ROW_IS_STMT, ROW_PROLOGUE_END } from '../../dwarf/line.ts';
import type { UnitRoot } from '../../dwarf/unit.ts';
import type { UnitLines } from './unitLines.ts';

/** The first address after the prologue of the function whose code is [start, end). */
export function findPrologueEnd(lines: UnitLines, root: UnitRoot, start: number, end: number): number {
  const first = lines.rowAt(start);
  if (first < 0 || root.language === DW_LANG.Mips_Assembler) return start;
  const { rows } = lines;
  let second: number | undefined;
  for (let row = first; row < rows.count; row++) {
    const address = rows.address.at(row);
    const flags = rows.flags[row] as number;
    if (address >= end || (flags & ROW_END_SEQUENCE) !== 0) break;
    if (address < start) continue;
    if ((flags & ROW_PROLOGUE_END) !== 0) return address;
    const isStatement = (flags & ROW_IS_STMT) !== 0 && rows.line[row] !== 0;
    if (second === undefined && address > start && isStatement) second = address;
  }
  if (isOptimized(root.producer)) return start;
  return second ?? start;
}

/** gcc records its options in DW_AT_producer; the last -O counts. */
function isOptimized(producer: string | undefined): boolean {
  if (producer === undefined || !producer.startsWith('GNU ')) return false;
  const level = [...producer.matchAll(/ -O(\S*)/g)].at(-1)?.[1];
  return level !== undefined && level !== '0';
}

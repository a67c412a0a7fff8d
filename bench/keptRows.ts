/** Rows of an earlier table that a run does not measure: they stay, and are marked. */
import type { Row } from './part.ts';

const MARK = '†';
const UNMEASURED = '| not measured';

/** Undefined: the table has no such rows, one below the other, or they were not measured. */
export function keptRows(before: string, rows: readonly Row[]): readonly string[] | undefined {
  const lines = before.split('\n');
  const isOf = (line: string | undefined, row: Row | undefined): boolean =>
    line !== undefined && row !== undefined && line.startsWith(`| ${row.title} |`);
  const first = lines.findIndex((it) => isOf(it, rows[0]));
  const kept = lines.slice(first, first + rows.length);
  const areThere = first >= 0 && rows.every((row, i) => isOf(kept[i], row));
  if (!areThere || kept.some((it) => it.includes(UNMEASURED))) return undefined;
  return kept.map((it) => (isKept(it) ? it : it.replace(/ *\|$/, ` ${MARK} |`)));
}

/** What a table with such rows needs to be understood; else nothing. */
export function keptNote(table: string): string {
  return table.split('\n').some(isKept)
    ? `\n${MARK} Of an earlier run: \`git log\` of this file has it, with its machine.\n`
    : '';
}

/** What this run has measured of a table. */
export function measured(table: string): string {
  return table
    .split('\n')
    .filter((it) => !isKept(it))
    .join('\n');
}

function isKept(line: string): boolean {
  return line.endsWith(`${MARK} |`);
}

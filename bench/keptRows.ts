/** Rows of an earlier table that a run does not measure: they stay, and are marked. */
import type { Row } from './part.ts';

const MARK = '†';
/** What documents say of their machine. */
const MACHINE = /^Trapframe \S+, Node [^]*?CPUs? \([^)]*\)/m;
const NOTE = new RegExp(`^${MARK} [^]*?\\n$`, 'm');

/** Undefined: the table has no such rows, one below the other. */
export function keptRows(before: string, rows: readonly Row[]): readonly string[] | undefined {
  const lines = before.split('\n');
  const isOf = (line: string | undefined, row: Row | undefined): boolean =>
    line !== undefined && row !== undefined && line.startsWith(`| ${row.title} |`);
  const first = lines.findIndex((it) => isOf(it, rows[0]));
  const kept = lines.slice(first, first + rows.length);
  if (first < 0 || !rows.every((row, i) => isOf(kept[i], row))) return undefined;
  return kept.map((it) => (isKept(it) ? it : it.replace(/ *\|$/, ` ${MARK} |`)));
}

/** What `table` needs to be understood, where it has rows out of `before`. */
export function keptNote(before: string, table: string): string {
  if (!table.split('\n').some(isKept)) return '';
  const [earlier] = NOTE.exec(before) ?? [];
  if (earlier !== undefined) return `\n${earlier}`;
  const [machine = 'a machine that is not known'] = MACHINE.exec(before) ?? [];
  return `\n${MARK} Not measured in this run: as in earlier results, by\n${machine}.\n`;
}

function isKept(line: string): boolean {
  return line.endsWith(`${MARK} |`);
}

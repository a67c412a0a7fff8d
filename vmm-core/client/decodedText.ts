/** What a part of the machine tells of itself, for people: names and values in two columns, and tables. */
import type { Decoded, DecodedValue } from '../protocol/devices.ts';
import { textTable } from './textTable.ts';

/** A name and its value; without a value a title for the rows under it. */
export interface Row {
  readonly name: string;
  readonly value?: string;
  readonly rows?: readonly Row[];
}

const INDENT = '  ';

/** Lines for people, each with its end. */
export function decodedText(values: Decoded): string {
  return rowLines(decodedRows(values))
    .map((it) => `${it}\n`)
    .join('');
}

/** Values of one level begin in one column. */
export function rowLines(rows: readonly Row[]): string[] {
  const width = Math.max(...rows.map((it) => (it.value === undefined ? 0 : it.name.length)));
  return rows.flatMap(({ name, value, rows: inner = [] }) => [
    value === undefined ? name : `${name.padEnd(width)}  ${value}`.trimEnd(),
    ...rowLines(inner).map((it) => `${INDENT}${it}`),
  ]);
}

export function decodedRows(values: Decoded): Row[] {
  return Object.entries(values).map(([name, value]) => {
    if (isList(value)) return listRow(name, value);
    return typeof value === 'object' ? { name, rows: decodedRows(value) } : row(name, visible(String(value)));
  });
}

/** Objects are the rows of a table, by the names of the first: connections, leases. */
function listRow(name: string, values: readonly DecodedValue[]): Row {
  const objects = values.filter((it): it is Decoded => typeof it === 'object' && !isList(it));
  const [first] = objects;
  if (first === undefined || objects.length < values.length)
    return row(name, values.map(cellText).join(', '));
  const columns = Object.keys(first);
  const cells = objects.map((it) => columns.map((key) => cellText(it[key] ?? '')));
  return { name, rows: textTable(columns, cells).map((it) => ({ name: it })) };
}

function cellText(value: DecodedValue): string {
  if (isList(value)) return value.map(cellText).join(' ');
  return visible(typeof value === 'object' ? JSON.stringify(value) : String(value));
}

/** A guest names files that it asks for, and other users their VMs: none may steer a terminal. */
function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (it) => `\\u{${it.codePointAt(0)?.toString(16)}}`);
}

function isList(value: DecodedValue): value is readonly DecodedValue[] {
  return Array.isArray(value);
}

export function row(name: string, value: string): Row {
  return { name, value };
}

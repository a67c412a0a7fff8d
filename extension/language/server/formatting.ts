/** Layout: whole, a range, and the line that a brace or a newline was just typed on. */
import type { TextEdit } from 'vscode-languageserver/node';
import type { ConfigHost } from '../../../vmm-core/config/configHost.ts';
import { formatConfigFile } from '../../../vmm-core/vmConf/formatConfigFile.ts';
import type { Position, SourceFile } from '../../../vmm-core/vmConf/sourceFile.ts';
import { type ConfigTree, directivesIn } from '../../../vmm-core/vmConf/syntaxTree.ts';
import { statementAt } from './occurrences.ts';
import { type Range, rangeOf } from './workspace.ts';

/** One edit around everything that differs; none when the text has syntax errors or is laid out already. */
export function formatWhole(file: SourceFile, host: ConfigHost): TextEdit[] {
  return difference(file, 0, file.text, formatConfigFile(file.path, file.text, host).text);
}

/** Whole statements that the range touches. */
export function formatRange(tree: ConfigTree, file: SourceFile, range: Range, host: ConfigHost): TextEdit[] {
  const from = file.offset(range.start);
  const to = file.offset(range.end);
  const touched = tree.statements.filter(
    ({ node }) =>
      node !== undefined && node.first.file === file && node.first.start <= to && node.last.end >= from,
  );
  const first = touched[0]?.node?.first;
  const last = touched.at(-1)?.node?.last;
  if (first === undefined || last === undefined || last.file !== file) return [];
  const start = file.lineStart(file.position(first.start).line);
  const end = Math.min(file.text.length, file.lineEnd(file.position(last.end).line) + 1);
  const text = file.text.slice(start, end);
  return difference(file, start, text, formatConfigFile(file.path, text, host).text);
}

/** Only the indentation of that line: the rest may be unfinished. */
export function formatOnType(tree: ConfigTree, file: SourceFile, position: Position): TextEdit[] {
  const start = file.lineStart(position.line);
  const line = file.text.slice(start, file.lineEnd(position.line));
  const blanks = /^[ \t]*/.exec(line)?.[0] ?? '';
  const depth = depthAt(tree, file, start) - (line.trim().startsWith('}') ? 1 : 0);
  const wanted = '\t'.repeat(Math.max(0, depth));
  return blanks === wanted
    ? []
    : [{ range: rangeOf({ file, start, end: start + blanks.length }), newText: wanted }];
}

function depthAt(tree: ConfigTree, file: SourceFile, offset: number): number {
  const node = statementAt(tree, file, offset)?.node;
  let depth = 0;
  for (const { open, close } of node === undefined ? [] : directivesIn(node)) {
    const isOpen = open?.file === file && open.start < offset;
    if (isOpen && (close === undefined || close.file !== file || close.start >= offset)) depth++;
  }
  return depth;
}

function difference(file: SourceFile, at: number, before: string, after: string | undefined): TextEdit[] {
  if (after === undefined || after === before) return [];
  let head = 0;
  while (head < before.length && head < after.length && before[head] === after[head]) head++;
  let tail = 0;
  while (
    tail < before.length - head &&
    tail < after.length - head &&
    before.at(-1 - tail) === after.at(-1 - tail)
  )
    tail++;
  const range = rangeOf({ file, start: at + head, end: at + before.length - tail });
  return [{ range, newText: after.slice(head, after.length - tail) }];
}

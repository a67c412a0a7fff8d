/**
 * An edit of the root file, for editors: statements before it are kept as they are, statements after it are kept and moved, what lies
 * between is read again. Everything is read again when the edit could reach further: when it touches a macro or an include.
 */
import { parseConfigFile, type ParseOptions, readStatements } from './parse.ts';
import type { Edit } from './sourceFile.ts';
import type { ConfigTree, Statement } from './syntaxTree.ts';
import type { MacroDefinition } from './token.ts';

export interface Reparsed {
  readonly tree: ConfigTree;
  /** How many statements were read, for tests and benchmarks. */
  readonly read: number;
}

/** Changes the root's text. The old tree must not be used any more: its statements live on in the new one. */
export function reparse(tree: ConfigTree, edit: Edit, options: ParseOptions): Reparsed {
  const { root, statements } = tree;
  const delta = edit.text.length - (edit.end - edit.start);
  const kept = countBefore(statements, edit.start);
  root.edit(edit);
  if (hasEffects(statements.slice(0, kept), 'include')) return readAll(tree, options);
  return readFrom(tree, kept, edit, delta, options) ?? readAll(tree, options);
}

/** Statements that end before the edit, and so were read without looking at it. */
function countBefore(statements: readonly Statement[], offset: number): number {
  let low = 0;
  let high = statements.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const { next, reach } = statements[middle] ?? { next: -1, reach: Infinity };
    // -1: an include or the like; such files are read from there on.
    if (next >= 0 && reach <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

function readAll(tree: ConfigTree, options: ParseOptions): Reparsed {
  const fresh = parseConfigFile(tree.root, options);
  return { tree: fresh, read: fresh.statements.length };
}

function readFrom(
  tree: ConfigTree,
  kept: number,
  edit: Edit,
  delta: number,
  options: ParseOptions,
): Reparsed | undefined {
  const { root, statements } = tree;
  // Where an untouched statement would begin, moved: -> its index.
  let old = kept;
  const isEnough = (statement: Statement): boolean => {
    while (old < statements.length && !isAtOrBehind(statements[old], edit.end, statement.next - delta)) old++;
    return statements[old]?.next === statement.next - delta;
  };
  const offset = kept === 0 ? 0 : (statements[kept - 1]?.next ?? 0);
  const macros = macrosBefore(statements.slice(0, kept), options);
  const files = [root];
  const read = readStatements({ root, offset, macros, files, options, isEnough });
  const isSynchronised =
    old < statements.length && read.at(-1)?.next === (statements[old]?.next ?? -2) + delta;
  const replaced = statements.slice(kept, isSynchronised ? old + 1 : undefined);
  if ([read, replaced].some((it) => hasEffects(it, 'macro', 'include'))) return undefined;
  const rest = isSynchronised ? statements.slice(old + 1) : [];
  if (hasEffects(rest, 'include')) return undefined;
  if (delta !== 0) for (const statement of rest) move(statement, delta);
  return {
    tree: { ...tree, statements: [...statements.slice(0, kept), ...read, ...rest] },
    read: read.length,
  };
}

/** Without includes. */
function macrosBefore(
  statements: readonly Statement[],
  { define = {} }: ParseOptions,
): Map<string, MacroDefinition> {
  const macros = new Map<string, MacroDefinition>();
  for (const [name, value] of Object.entries(define)) macros.set(name, { name, value, isFixed: true });
  for (const { node } of statements) {
    if (node?.id !== 'macro') continue;
    const { name, value } = node.args;
    const [token] = name?.tokens ?? [];
    if (
      name === undefined ||
      value === undefined ||
      token === undefined ||
      macros.get(name.text)?.isFixed === true
    )
      continue;
    macros.set(name.text, { name: name.text, value: value.text, token, isFixed: false });
  }
  return macros;
}

function isAtOrBehind(statement: Statement | undefined, editEnd: number, offset: number): boolean {
  return statement !== undefined && statement.next >= editEnd && statement.next >= offset;
}

function hasEffects(statements: readonly Statement[], ...ids: readonly string[]): boolean {
  return statements.some(({ node, tokens }) => {
    // An unreadable macro or include still begins with a value or the word.
    const id =
      node?.id ??
      (tokens.some((it) => it.text === 'include')
        ? 'include'
        : tokens.some((it) => it.text === '=')
          ? 'macro'
          : '');
    return ids.includes(id);
  });
}

function move(statement: Statement, delta: number): void {
  for (const list of [
    statement.tokens,
    statement.comments,
    statement.macroUses,
    statement.problems,
    statement.findings ?? [],
  ]) {
    for (const it of list) {
      it.start += delta;
      it.end += delta;
    }
  }
  if (statement.next >= 0) statement.next += delta;
  statement.reach += delta;
}

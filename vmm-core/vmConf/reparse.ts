/**
 * An edit of the root file, for editors. Statements before it are kept as they are, statements after it are
 * kept and moved, those in between are read again, and so are those that use a macro whose value changed.
 * Everything is read when other files come or go, and when statements do not begin where they did.
 */
import { IncludeBudget } from './includeBudget.ts';
import { parseConfigFile, type ParseOptions, readStatements } from './parseConfigFile.ts';
import type { Edit, SourceFile } from './sourceFile.ts';
import type { ConfigTree, Statement } from './syntaxTree.ts';
import type { MacroDefinition } from './token.ts';

export interface Reparsed {
  readonly tree: ConfigTree;
  /** How many statements were read, for tests and benchmarks. */
  readonly read: number;
}

interface Place {
  readonly file: SourceFile;
  start: number;
  end: number;
}

type Macros = Map<string, MacroDefinition>;

/** Changes the root's text. The old tree must not be used any more: its statements live on in the new one. */
export function reparse(tree: ConfigTree, edit: Edit, options: ParseOptions): Reparsed {
  const kept = countBefore(tree.statements, edit.start);
  tree.root.edit(edit);
  return readFrom(tree, kept, edit, options) ?? readAll(tree, options);
}

/** Up to the last statement that ends before the edit, and so was read without seeing it. */
function countBefore(statements: readonly Statement[], offset: number): number {
  // -1: in an included file, or the include; these belong to what follows.
  return statements.findLastIndex(({ next, reach }) => next >= 0 && reach <= offset) + 1;
}

function readAll(tree: ConfigTree, options: ParseOptions): Reparsed {
  const fresh = parseConfigFile(tree.root, options);
  return { tree: fresh, read: fresh.statements.length };
}

function readFrom(tree: ConfigTree, kept: number, edit: Edit, options: ParseOptions): Reparsed | undefined {
  const { root, statements } = tree;
  if (tree.isCut) return undefined; // where it is cut depends on everything before
  const delta = edit.text.length - (edit.end - edit.start);
  // Where an untouched statement would begin, moved: -> its index.
  let old = kept;
  const isEnough = ({ next }: Statement): boolean => {
    if (next < 0) return false;
    while (old < statements.length && !isAtOrBehind(statements[old], edit.end, next - delta)) old++;
    return statements[old]?.next === next - delta;
  };
  const before = statements.slice(0, kept);
  const macros = macrosOf(before, options);
  const offset = before.at(-1)?.next ?? 0;
  const files = [...tree.files];
  const includes = new IncludeBudget();
  const read = readStatements({ root, offset, macros, files, includes, options, isEnough });
  const last = read.at(-1);
  const isSynchronised = last !== undefined && isEnough(last);
  const replaced = statements.slice(kept, isSynchronised ? old + 1 : undefined);
  if (includes.isSpent || includesOf(read) !== includesOf(replaced)) return undefined;
  const rest = isSynchronised ? statements.slice(old + 1) : [];
  if (delta !== 0) for (const statement of rest) move(statement, root, delta);
  const changed = differences(macrosOf(replaced, {}), macrosOf(read, {}));
  const again = readUsers(rest, changed, { root, offset: last?.next ?? -1, macros, files, options });
  if (again === undefined) return undefined;
  return {
    tree: { ...tree, statements: [...before, ...read, ...again.statements], macros },
    read: read.length + again.read,
  };
}

function isAtOrBehind(statement: Statement | undefined, editEnd: number, offset: number): boolean {
  return statement !== undefined && statement.next >= editEnd && statement.next >= offset;
}

/** As they are defined after these statements. */
function macrosOf(statements: readonly Statement[], { define = {} }: Pick<ParseOptions, 'define'>): Macros {
  const macros: Macros = new Map();
  for (const [name, value] of Object.entries(define)) macros.set(name, { name, value, isFixed: true });
  for (const statement of statements) defineIn(statement, macros);
  return macros;
}

function defineIn({ node }: Statement, macros: Macros): void {
  const { name, value } = node?.id === 'macro' ? node.args : {};
  const [token] = name?.tokens ?? [];
  if (name === undefined || value === undefined || token === undefined) return;
  if (/^.+\s/s.test(name.text) || macros.get(name.text)?.isFixed === true) return;
  macros.set(name.text, { name: name.text, value: value.text, token, isFixed: false });
}

function differences(a: Macros, b: Macros): Set<string> {
  const names = [...a.keys(), ...b.keys()];
  return new Set(names.filter((name) => a.get(name)?.value !== b.get(name)?.value));
}

/** The included files, in order, as one text to compare. An include that is refused includes nothing. */
function includesOf(statements: readonly Statement[]): string {
  let found = '';
  for (const { node, problems } of statements)
    if (node?.id === 'include' && problems.length === 0) found += `${node.args['file']?.text ?? ''}\n`;
  return found;
}

interface Reading {
  readonly root: SourceFile;
  /** Where the first statement begins; -1 when reading cannot begin there. */
  readonly offset: number;
  /** As they are there; finally as they are after the last one. */
  readonly macros: Macros;
  readonly files: SourceFile[];
  readonly options: ParseOptions;
}

/**
 * The statements, with those that use a changed macro read again. Undefined when they do not end where they
 * did.
 */
function readUsers(
  statements: readonly Statement[],
  changed: Set<string>,
  { root, offset: first, macros, files, options }: Reading,
): { statements: readonly Statement[]; read: number } | undefined {
  const found: Statement[] = [];
  let offset = first;
  let read = 0;
  for (const old of statements) {
    let statement = old;
    if (changed.size > 0 && old.macroUses.some((it) => changed.has(it.name))) {
      if (offset < 0 || old.next < 0) return undefined;
      const [fresh, ...more] = readStatements({
        root,
        offset,
        macros,
        files,
        includes: new IncludeBudget(),
        options,
        isEnough: () => true,
      });
      if (more.length > 0 || fresh?.next !== old.next || fresh.reach !== old.reach) return undefined;
      if (includesOf([fresh]) !== '' || includesOf([old]) !== '') return undefined;
      statement = fresh;
      read++;
    }
    found.push(statement);
    offset = statement.next;
    if (old.node?.id !== 'macro' && statement.node?.id !== 'macro') continue; // nearly all
    const defined = macrosOf([statement], {});
    // From here on a name has the value it has here, whether or not that has changed.
    for (const name of defined.keys()) changed.delete(name);
    if (statement !== old) for (const name of differences(macrosOf([old], {}), defined)) changed.add(name);
    defineIn(statement, macros);
  }
  return { statements: found, read };
}

function move(statement: Statement, root: SourceFile, delta: number): void {
  moveAll(statement.tokens, root, delta);
  moveAll(statement.comments, root, delta);
  moveAll(statement.macroUses, root, delta);
  moveAll(statement.problems, root, delta);
  if (statement.findings !== undefined) moveAll(statement.findings, root, delta);
  if (statement.next >= 0) statement.next += delta;
  statement.reach += delta;
}

/**
 * Runs over half of all tokens at each key press: V8's interpreter allocates an object for each step of an
 * iterator.
 */
function moveAll(places: readonly Place[], root: SourceFile, delta: number): void {
  for (let i = 0; i < places.length; i++) {
    const it = places[i];
    if (it?.file !== root) continue;
    it.start += delta;
    it.end += delta;
  }
}

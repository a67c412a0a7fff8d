/** Names in a configuration: where VMs, switches, macros and files are declared and used. */
import type { Argument } from '../../../vmm-core/config/directive.ts';
import { directive, type DirectiveId, meaningOf } from '../../../vmm-core/vmConf/directives.ts';
import type { SourceFile } from '../../../vmm-core/vmConf/sourceFile.ts';
import {
  type ConfigTree,
  directivesIn,
  type DirectiveNode,
  span,
  type Statement,
  type ValueNode,
} from '../../../vmm-core/vmConf/syntaxTree.ts';
import type { Token } from '../../../vmm-core/vmConf/token.ts';

export type NameKind = 'vm' | 'switch' | 'macro';

export interface Occurrence {
  readonly kind: NameKind;
  readonly name: string;
  readonly file: SourceFile;
  readonly start: number;
  readonly end: number;
  readonly isDeclaration: boolean;
  /** Written out there, rather than made by a macro. */
  readonly isLiteral: boolean;
}

export function* occurrences(tree: ConfigTree): Generator<Occurrence> {
  for (const statement of tree.statements) yield* occurrencesIn(statement);
}

function* occurrencesIn({ node, macroUses }: Statement): Generator<Occurrence> {
  for (const { name, file, start, end } of macroUses) {
    yield { kind: 'macro', name, file, start: start + 1, end, isDeclaration: false, isLiteral: true };
  }
  if (node === undefined) return;
  for (const it of directivesIn(node))
    for (const [kind, value, isDeclaration] of namesIn(it)) yield occurrence(kind, value, isDeclaration);
}

/** The names in a directive itself, and whether it declares them. */
export function* namesIn({ id, args }: DirectiveNode): Generator<readonly [NameKind, ValueNode, boolean]> {
  const { name, instance } = args;
  if (name !== undefined) {
    if (id === 'macro' || id === 'switch') yield [id, name, true];
    else if (id === 'vm') yield [id, name, instance === undefined];
    else if (meaningOf(id, 'name') === 'switch') yield ['switch', name, false];
  }
  if (id === 'vm' && instance !== undefined) yield [id, instance, true];
}

function occurrence(kind: NameKind, value: ValueNode, isDeclaration: boolean): Occurrence {
  const isLiteral = value.tokens.every((it) => it.macro === undefined);
  return { kind, name: value.text, ...span(value), isDeclaration, isLiteral };
}

/** The name under the cursor. */
export function occurrenceAt(tree: ConfigTree, file: SourceFile, offset: number): Occurrence | undefined {
  const statement = statementAt(tree, file, offset);
  if (statement === undefined) return undefined;
  return [...occurrencesIn(statement)].find(
    (it) => it.file === file && it.start <= offset && offset <= it.end,
  );
}

/** Where the statements of a file begin, in its order. A tree is not changed: an edit makes another one. */
interface Beginnings {
  readonly starts: readonly number[];
  readonly statements: readonly Statement[];
}

const beginnings = new WeakMap<ConfigTree, Map<SourceFile, Beginnings>>();

/** The statement that contains, or is followed by, this place. */
export function statementAt(tree: ConfigTree, file: SourceFile, offset: number): Statement | undefined {
  const known = beginnings.get(tree) ?? new Map<SourceFile, Beginnings>();
  beginnings.set(tree, known);
  const { starts, statements } = known.get(file) ?? beginningsIn(tree, file);
  known.set(file, { starts, statements });
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((starts[middle] ?? 0) <= offset) low = middle + 1;
    else high = middle;
  }
  return statements[low - 1];
}

/** Of a file that is included several times, the first. */
function beginningsIn({ statements }: ConfigTree, file: SourceFile): Beginnings {
  const found: Statement[] = [];
  const starts: number[] = [];
  for (const statement of statements) {
    const first = statement.tokens.find((it) => it.file === file && it.kind !== 'newline');
    if (first === undefined) continue;
    if (first.start < (starts.at(-1) ?? 0)) break;
    found.push(statement);
    starts.push(first.start);
  }
  return { starts, statements: found };
}

/** What the cursor is on: the innermost directive, and the argument or word of it. */
export interface Spot {
  readonly node: DirectiveNode;
  readonly value?: ValueNode;
  readonly argument?: Argument;
  readonly word?: Token;
}

export function spotAt(tree: ConfigTree, file: SourceFile, offset: number): Spot | undefined {
  const node = statementAt(tree, file, offset)?.node;
  if (node === undefined) return undefined;
  let spot: Spot | undefined;
  for (const it of directivesIn(node)) {
    const word = it.words.find((token) => covers(token, file, offset));
    if (word !== undefined) spot = { node: it, word };
    for (const [name, value] of Object.entries(it.args)) {
      if (value?.tokens.some((token) => covers(token, file, offset)) !== true) continue;
      const argument = argumentOf(it.id, name);
      spot = { node: it, value, ...(argument === undefined ? {} : { argument }) };
    }
  }
  return spot;
}

function argumentOf(id: DirectiveId, name: string): Argument | undefined {
  return directive(id).args?.find((it) => it.name === name);
}

function covers(token: Token, file: SourceFile, offset: number): boolean {
  return token.file === file && token.start <= offset && offset <= token.end;
}

/** Arguments that name a file. */
export function isPath(id: DirectiveId, name: string): boolean {
  const means = meaningOf(id, name);
  return means === 'path' || means === 'ownFile';
}

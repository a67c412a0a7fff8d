/** Semantic tokens, inlay hints and code lenses. */
import {
  type CodeLens,
  type InlayHint,
  InlayHintKind,
  SemanticTokensBuilder,
} from 'vscode-languageserver/node';
import { meaningOf } from '../../../vmm-core/vmConf/directives.ts';
import type { SourceFile } from '../../../vmm-core/vmConf/sourceFile.ts';
import {
  type ConfigTree,
  directivesIn,
  span,
  type Statement,
  vmName,
} from '../../../vmm-core/vmConf/syntaxTree.ts';
import { scanScaled } from '../../../vmm-core/config/values.ts';
import { LENS_COMMANDS } from './contract.ts';
import { type NameKind, namesIn } from './occurrences.ts';
import { type Range, rangeOf } from './workspace.ts';

/** The legend, in the order of the numbers sent. */
export const TOKEN_TYPES = [
  'keyword',
  'string',
  'number',
  'comment',
  'macro',
  'class',
  'interface',
  'enumMember',
] as const;
type TokenType = (typeof TOKEN_TYPES)[number];

const TYPE_OF_NAME: Readonly<Record<NameKind, TokenType>> = {
  vm: 'class',
  switch: 'interface',
  macro: 'macro',
};

const MAX_HINT = 40;

interface Coloured {
  readonly start: number;
  readonly end: number;
  readonly type: TokenType;
}

export function semanticTokens(tree: ConfigTree, file: SourceFile, range?: Range): { data: number[] } {
  const builder = new SemanticTokensBuilder();
  const from = range === undefined ? 0 : file.offset(range.start);
  const to = range === undefined ? Infinity : file.offset(range.end);
  const found = tree.statements
    .flatMap((it) => colours(it, file))
    .filter((it) => it.end >= from && it.start <= to);
  found.sort((a, b) => a.start - b.start || b.end - a.end);
  let at = 0;
  for (const it of found) {
    // What is glued to a macro begins after it.
    const start = Math.max(it.start, at);
    if (start >= it.end) continue;
    push(builder, file, start, it.end, TOKEN_TYPES.indexOf(it.type));
    at = it.end;
  }
  return builder.build();
}

function colours(statement: Statement, file: SourceFile): Coloured[] {
  const types = new Map<number, TokenType>();
  for (const node of statement.node === undefined ? [] : directivesIn(statement.node)) {
    for (const word of node.words) types.set(word.start, 'keyword');
    for (const [kind, value] of namesIn(node))
      for (const it of value.tokens) types.set(it.start, TYPE_OF_NAME[kind]);
  }
  const found: Coloured[] = [];
  for (const { kind, start, end, file: where } of statement.tokens) {
    if (where !== file || end <= start) continue;
    const plain =
      kind === 'string' || kind === 'word'
        ? 'string'
        : kind === 'keyword' || kind === 'number'
          ? kind
          : undefined;
    const type = types.get(start) ?? plain;
    if (type !== undefined) found.push({ start, end, type });
  }
  for (const it of statement.macroUses) {
    // Comes before the token it begins, which then covers only what is glued to it.
    if (it.file === file) found.push({ start: it.start, end: it.end, type: 'macro' });
  }
  for (const it of statement.comments)
    if (it.file === file) found.push({ start: it.start, end: it.end, type: 'comment' });
  return splitAtMacros(found);
}

function splitAtMacros(found: readonly Coloured[]): Coloured[] {
  const macros = new Map(found.flatMap((it) => (it.type === 'macro' ? [[it.start, it.end] as const] : [])));
  return found.flatMap((it) => {
    const end = macros.get(it.start);
    if (end === undefined || it.type === 'macro') return [it];
    return it.end > end ? [{ ...it, start: end }] : [];
  });
}

/** A token must not span lines. */
function push(
  builder: SemanticTokensBuilder,
  file: SourceFile,
  start: number,
  end: number,
  type: number,
): void {
  let from = start;
  while (from < end) {
    const { line, character } = file.position(from);
    const to = Math.min(end, file.lineEnd(line));
    if (to > from) builder.push(line, character, to - from, type, 0);
    from = to + 1;
  }
}

/** The bytes of sizes, and the values of macros. */
export function inlayHints(tree: ConfigTree, file: SourceFile, range: Range): InlayHint[] {
  const from = file.offset(range.start);
  const to = file.offset(range.end);
  const hints: InlayHint[] = [];
  const add = (offset: number, label: string): void => {
    if (offset < from || offset > to) return;
    hints.push({ position: file.position(offset), label, kind: InlayHintKind.Type, paddingLeft: true });
  };
  for (const { node, macroUses } of tree.statements) {
    for (const it of macroUses) {
      const value = it.definition?.value;
      if (it.file === file && value !== undefined)
        add(it.end, value.length > MAX_HINT ? `${value.slice(0, MAX_HINT)}…` : value);
    }
    if (node?.id !== 'vm') continue;
    for (const item of node.items) {
      for (const [argument, size] of Object.entries(item.args)) {
        if (size === undefined || size.isNumber || meaningOf(item.id, argument) !== 'bytes') continue;
        const bytes = scanScaled(size.text);
        if (bytes !== undefined && span(size).file === file) add(span(size).end, `${bytes} bytes`);
      }
    }
  }
  return hints;
}

/** "Run | Debug | Console" above each VM. */
export function codeLenses(tree: ConfigTree, file: SourceFile): CodeLens[] {
  return tree.statements.flatMap(({ node }) => {
    const name = node?.id === 'vm' ? vmName(node) : undefined;
    if (node === undefined || name === undefined || node.first.file !== file) return [];
    const range = rangeOf(node.first);
    const args = [tree.root.path, name.text];
    return [
      { range, command: { title: 'Run', command: LENS_COMMANDS.run, arguments: args } },
      { range, command: { title: 'Debug', command: LENS_COMMANDS.debug, arguments: args } },
      { range, command: { title: 'Console', command: LENS_COMMANDS.console, arguments: args } },
    ];
  });
}

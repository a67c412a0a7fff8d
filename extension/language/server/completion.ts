/**
 * What may be written at the cursor, from the parser's own table: directives in context, and values by what
 * they name.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import {
  type CompletionItem,
  CompletionItemKind,
  InsertTextFormat,
  MarkupKind,
} from 'vscode-languageserver/node';
import type { Argument, Block } from '../../../vmm-core/config/directive.ts';
import {
  directive,
  type DirectiveId,
  directivesOf,
  directivesWith,
} from '../../../vmm-core/vmConf/directives.ts';
import { hoverText } from '../../../vmm-core/vmConf/documentation.ts';
import { Lexer } from '../../../vmm-core/vmConf/lexer.ts';
import { SourceFile } from '../../../vmm-core/vmConf/sourceFile.ts';
import type { ConfigTree } from '../../../vmm-core/vmConf/syntaxTree.ts';
import { isValue, type MacroDefinition, type Token } from '../../../vmm-core/vmConf/token.ts';
import { isPath, occurrences, statementAt } from './occurrences.ts';
import type { Range } from './workspace.ts';

const MAX_ENTRIES = 200;
/** What is in these blocks is never on the line of the directive that opens them. */
const NEEDS_BRACES: readonly Block[] = ['vm', 'switch', 'network', 'disk'];

/** What the grammar allows next. */
export type Expectation =
  | { readonly kind: 'directive'; readonly id: DirectiveId }
  | { readonly kind: 'word'; readonly text: string }
  | { readonly kind: 'argument'; readonly id: DirectiveId; readonly argument: Argument };

export interface Context {
  readonly block: Block;
  readonly expectations: readonly Expectation[];
  /** The part of the word at the cursor that is already written. */
  readonly prefix: string;
  /** The quote that is open. */
  readonly quote: string;
}

export function contextAt(tree: ConfigTree, file: SourceFile, offset: number): Context {
  const { line } = file.position(offset);
  const before = file.text.slice(file.lineStart(line), offset);
  const { prefix, quote } = openWord(before);
  const start = statementAt(tree, file, offset)?.tokens.find((it) => it.file === file)?.start ?? 0;
  const tokens = lex(
    file.text.slice(Math.min(start, offset), offset - prefix.length - quote.length),
    tree.macros,
  );
  const { block, line: words } = walk(tokens);
  return { block, expectations: expectIn(block, words), prefix, quote };
}

function openWord(before: string): { prefix: string; quote: string } {
  const quoted = /^(?:[^"'#]|"[^"]*"|'[^']*')*?(["'])([^"']*)$/.exec(before);
  if (quoted?.[1] !== undefined && quoted[2] !== undefined) return { prefix: quoted[2], quote: quoted[1] };
  return { prefix: /[^\s{}(),=#"'!]*$/.exec(before)?.[0] ?? '', quote: '' };
}

function lex(text: string, macros: ReadonlyMap<string, MacroDefinition>): Token[] {
  const lexer = new Lexer(new SourceFile('', text), 0, { macros: new Map(macros), report: () => undefined });
  const tokens: Token[] = [];
  for (let token = lexer.next(); token.kind !== 'end'; token = lexer.next()) {
    const isMadeUp = token.kind === 'newline' && token.start === token.end;
    if (!isMadeUp) tokens.push(token);
  }
  return tokens;
}

/** Which block the end is in, and the words of the line there. */
function walk(tokens: readonly Token[]): { block: Block; line: readonly Token[] } {
  const stack: Block[] = ['file'];
  let line: Token[] = [];
  for (const token of tokens) {
    const top = stack.at(-1) ?? 'file';
    if (token.kind === 'newline') line = [];
    else if (token.kind !== 'mark') line.push(token);
    else if (token.text === '{') {
      stack.push(openedBy(top, line) ?? 'file');
      line = [];
    } else if (token.text === '}' && stack.length > 1) {
      stack.pop();
      line = [];
    } else if (token.text === ',' && top !== 'vm') line = [];
    else line.push(token);
  }
  return { block: stack.at(-1) ?? 'file', line };
}

function openedBy(block: Block, line: readonly Token[]): Block | undefined {
  const ids = directivesWith(block, line[0]?.text ?? '');
  return ids.map((id) => directive(id)).find((it) => it.opens !== undefined && startsWith(line, it.words))
    ?.opens;
}

function startsWith(line: readonly Token[], words: readonly string[]): boolean {
  return words.every((word, i) => line[i]?.text === word);
}

function expectIn(block: Block, line: readonly Token[]): Expectation[] {
  if (line.length === 0) return directivesOf(block).map((id) => ({ kind: 'directive', id }));
  const found: Expectation[] = [];
  for (const id of directivesWith(block, line[0]?.text ?? '')) {
    const { words } = directive(id);
    const next = words[line.length];
    if (line.length < words.length && startsWith(line, words.slice(0, line.length)) && next !== undefined) {
      found.push({ kind: 'word', text: next });
    } else if (startsWith(line, words)) {
      return [...found, ...expectArguments(id, line.slice(words.length))];
    }
  }
  return found.length > 0 || block === 'file' || block === 'vm' || block === 'switch'
    ? found
    : expectNextItem(block, line);
}

function expectArguments(id: DirectiveId, given: readonly Token[]): Expectation[] {
  const { args = [], opens } = directive(id);
  const found: Expectation[] = [];
  let rest = given;
  for (const argument of args) {
    const { after, isOptional, kind } = argument;
    if (after !== undefined) {
      if (rest[0]?.text === after) rest = rest.slice(1);
      else {
        if (rest.length === 0) found.push({ kind: 'word', text: after });
        if (isOptional === true) continue;
        return found;
      }
    }
    if (rest.length === 0) {
      found.push({ kind: 'argument', id, argument });
      if (isOptional !== true) return found;
      continue;
    }
    rest = skipArgument(kind, rest);
  }
  if (opens === undefined || NEEDS_BRACES.includes(opens)) return found;
  const items = rest.length === 0 ? expectIn(opens, []) : expectNextItem(opens, rest);
  return [...found, ...items.filter((it) => opens !== 'interface' || !isOwnWord(it))];
}

function skipArgument(kind: Argument['kind'], rest: readonly Token[]): readonly Token[] {
  const [first] = rest;
  if (first === undefined) return rest;
  if (typeof kind !== 'string') return kind.includes(first.text) ? rest.slice(1) : rest;
  if (kind !== 'string') return first.kind === 'keyword' ? rest : rest.slice(1);
  const end = rest.findIndex((it) => !isValue(it));
  return end < 0 ? [] : rest.slice(end);
}

/** Our own options, which are no reserved words, are known as such in an interface's braces only. */
function isOwnWord(it: Expectation): boolean {
  return it.kind === 'directive' && directive(it.id).isExtension;
}

/** Several items on one line: what the last one still lacks, and a further item. */
function expectNextItem(block: Block, line: readonly Token[]): Expectation[] {
  for (let i = line.length - 1; i >= 0; i--) {
    const token = line[i];
    if (token === undefined || token.kind === 'string' || directivesWith(block, token.text).length === 0)
      continue;
    if (line[i - 1]?.text === 'locked') continue;
    const pending = expectIn(block, line.slice(i));
    const isDone = pending.every((it) => it.kind === 'argument' && it.argument.isOptional === true);
    return isDone ? [...pending, ...expectIn(block, [])] : pending;
  }
  return [];
}

/** Everything to offer; the editor filters by what is typed. */
export function completions(tree: ConfigTree, file: SourceFile, offset: number): CompletionItem[] {
  if (isInComment(tree, file, offset)) return [];
  const context = contextAt(tree, file, offset);
  const start = file.position(offset - context.prefix.length);
  const range = { start, end: file.position(offset) };
  const items = context.expectations.flatMap((it) => itemsFor(it, context, { tree, file, range }));
  const macros = context.quote === '' ? macroItems(tree, range) : [];
  return [...items, ...(context.prefix.startsWith('$') || wantsValue(context) ? macros : [])];
}

function isInComment(tree: ConfigTree, file: SourceFile, offset: number): boolean {
  return tree.statements.some(({ comments }) =>
    comments.some((it) => it.file === file && it.start < offset && offset <= it.end),
  );
}

function wantsValue({ expectations }: Context): boolean {
  return expectations.some((it) => it.kind === 'argument');
}

interface Place {
  readonly tree: ConfigTree;
  readonly file: SourceFile;
  readonly range: Range;
}

function itemsFor(expectation: Expectation, context: Context, place: Place): CompletionItem[] {
  switch (expectation.kind) {
    case 'directive':
      return context.quote === '' ? directiveItem(expectation.id, place.range) : [];
    case 'word':
      return context.quote === '' ? [plain(expectation.text, CompletionItemKind.Keyword, place.range)] : [];
    case 'argument':
      return argumentItems(expectation.id, expectation.argument, context, place);
  }
}

function directiveItem(id: DirectiveId, range: Range): CompletionItem[] {
  const { words, snippet, args = [], isExtension } = directive(id);
  if (words.length === 0) return [];
  const label = words.join(' ');
  const ending = snippet ?? (args.some((it) => it.isOptional !== true) ? ' $0' : '');
  return [
    {
      label,
      kind: CompletionItemKind.Keyword,
      ...(isExtension ? { labelDetails: { description: 'extension' } } : {}),
      documentation: { kind: MarkupKind.Markdown, value: hoverText(id) },
      insertTextFormat: InsertTextFormat.Snippet,
      textEdit: { range, newText: `${label}${ending}` },
      ...(ending === ' $0' ? { command: { title: 'Suggest', command: 'editor.action.triggerSuggest' } } : {}),
    },
  ];
}

function argumentItems(
  id: DirectiveId,
  argument: Argument,
  context: Context,
  place: Place,
): CompletionItem[] {
  const { kind, means, name, suggestions } = argument;
  if (typeof kind !== 'string')
    return kind.map((it) => plain(it, CompletionItemKind.EnumMember, place.range));
  const value = (text: string, what: CompletionItemKind): CompletionItem =>
    quotable(text, what, context, place.range);
  if (isPath(id, name)) return fileItems(context, place);
  if (kind === 'owner') return accounts(context.prefix).map((it) => value(it, CompletionItemKind.Constant));
  if (suggestions !== undefined) {
    const what = means === 'bytes' ? CompletionItemKind.Value : CompletionItemKind.EnumMember;
    return suggestions.map((it) => plain(it, what, place.range));
  }
  if (means === 'switch')
    return names(place.tree, 'switch').map((it) => value(it, CompletionItemKind.Interface));
  if (id === 'vm' && name === 'name')
    return names(place.tree, 'vm').map((it) => value(it, CompletionItemKind.Class));
  return [];
}

function plain(label: string, kind: CompletionItemKind, range: Range): CompletionItem {
  return { label, kind, textEdit: { range, newText: label } };
}

/** Quoted, unless a quote is open already. */
function quotable(text: string, kind: CompletionItemKind, { quote }: Context, range: Range): CompletionItem {
  return {
    label: text,
    kind,
    textEdit: { range, newText: quote === '' ? `"${text}"` : text },
  };
}

function names(tree: ConfigTree, kind: 'vm' | 'switch'): string[] {
  const found = new Set<string>();
  for (const it of occurrences(tree)) if (it.kind === kind && it.isDeclaration) found.add(it.name);
  return [...found];
}

function macroItems(tree: ConfigTree, range: Range): CompletionItem[] {
  return [...tree.macros.values()].map(({ name, value }) => ({
    label: `$${name}`,
    kind: CompletionItemKind.Variable,
    detail: value,
    textEdit: { range, newText: `$${name}` },
  }));
}

function fileItems(context: Context, { file, range }: Place): CompletionItem[] {
  const { prefix, quote } = context;
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  try {
    const entries = readdirSync(path.resolve(path.dirname(file.path), folder || '.'), {
      withFileTypes: true,
    });
    return entries.slice(0, MAX_ENTRIES).map((entry) => {
      const isFolder = entry.isDirectory();
      const text = `${folder}${entry.name}${isFolder ? '/' : ''}`;
      return {
        label: `${entry.name}${isFolder ? '/' : ''}`,
        kind: isFolder ? CompletionItemKind.Folder : CompletionItemKind.File,
        filterText: text,
        textEdit: { range, newText: quote === '' && !isFolder ? `"${text}"` : text },
        ...(isFolder ? { command: { title: 'Suggest', command: 'editor.action.triggerSuggest' } } : {}),
      };
    });
  } catch {
    return []; // not a folder, or not readable
  }
}

/** Users, or groups behind a colon. */
function accounts(prefix: string): string[] {
  const colon = prefix.indexOf(':');
  const file = colon < 0 ? '/etc/passwd' : '/etc/group';
  try {
    const lines = readFileSync(file, 'utf8').split('\n');
    const found = lines
      .map((it) => it.split(':', 1)[0] ?? '')
      .filter((it) => it !== '' && !it.startsWith('#'));
    return colon < 0 ? found : found.map((it) => `${prefix.slice(0, colon)}:${it}`);
  } catch {
    return []; // no such file on this machine
  }
}

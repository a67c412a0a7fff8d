/** Outline, symbols of the workspace, folding and growing selections. */
import {
  type DocumentSymbol,
  type FoldingRange,
  FoldingRangeKind,
  type SelectionRange,
  SymbolKind,
  type WorkspaceSymbol,
} from 'vscode-languageserver/node';
import type { SourceFile } from '../../../vmm-core/vmConf/sourceFile.ts';
import {
  type ConfigTree,
  directivesIn,
  type DirectiveNode,
  vmName,
} from '../../../vmm-core/vmConf/syntaxTree.ts';
import { occurrences, statementAt } from './occurrences.ts';
import { type Range, rangeOf, uriOf } from './workspace.ts';

const KINDS: Readonly<Record<string, SymbolKind>> = {
  vm: SymbolKind.Class,
  switch: SymbolKind.Interface,
  macro: SymbolKind.Variable,
  include: SymbolKind.File,
};

export function documentSymbols(tree: ConfigTree, file: SourceFile): DocumentSymbol[] {
  return tree.statements.flatMap(({ node }) => {
    const kind = node === undefined ? undefined : KINDS[node.id];
    return node === undefined || kind === undefined || !isIn(node, file) ? [] : [symbolOf(node, kind)];
  });
}

function symbolOf(node: DirectiveNode, kind: SymbolKind): DocumentSymbol {
  const value = node.id === 'vm' ? vmName(node) : (node.args['name'] ?? node.args['file']);
  const [token] = value?.tokens ?? [];
  const range = nodeRange(node);
  const parent = node.args['instance'] === undefined ? undefined : node.args['name']?.text;
  const children = node.items.map((item): DocumentSymbol => {
    const name = item.words.map((it) => it.text).join(' ');
    const detail = Object.values(item.args)
      .map((it) => it?.text ?? '')
      .join(' ')
      .trim();
    const itemRange = nodeRange(item);
    return { name, detail, kind: SymbolKind.Property, range: itemRange, selectionRange: itemRange };
  });
  return {
    name: value?.text || '(no name)',
    detail: parent === undefined ? node.id : `instance of ${parent}`,
    kind,
    range,
    selectionRange:
      token === undefined || token.start < node.first.start || token.end > node.last.end
        ? range
        : rangeOf(token),
    children,
  };
}

function nodeRange(node: DirectiveNode): Range {
  const { file, start } = node.first;
  const end = node.last.file === file && node.last.end >= start ? trimmed(node) : node.first.end;
  return rangeOf({ file, start, end });
}

/** Without the newline that ended a block whose brace is missing. */
function trimmed(node: DirectiveNode): number {
  return node.last.kind === 'newline' ? node.last.start : node.last.end;
}

function isIn(node: DirectiveNode, file: SourceFile): boolean {
  return node.first.file === file;
}

export function workspaceSymbols(trees: readonly ConfigTree[], query: string): WorkspaceSymbol[] {
  const wanted = query.toLowerCase();
  const found = new Map<string, WorkspaceSymbol>();
  for (const tree of trees) {
    for (const it of occurrences(tree)) {
      const kind = KINDS[it.kind];
      if (!it.isDeclaration || kind === undefined || !it.name.toLowerCase().includes(wanted)) continue;
      const uri = uriOf(it.file.path);
      found.set(`${uri}:${it.start}`, { name: it.name, kind, location: { uri, range: rangeOf(it) } });
    }
  }
  return [...found.values()];
}

export function foldingRanges(tree: ConfigTree, file: SourceFile): FoldingRange[] {
  const found: FoldingRange[] = [];
  for (const { node, comments } of tree.statements) {
    for (const it of node === undefined ? [] : directivesIn(node)) {
      if (it.open === undefined || it.close === undefined || it.open.file !== file || it.close.file !== file)
        continue;
      const startLine = file.position(it.first.start).line;
      const endLine = file.position(it.close.start).line;
      if (endLine > startLine) found.push({ startLine, endLine: endLine - 1 });
    }
    for (const it of commentRuns(comments.filter((other) => other.file === file).map(rangeOf)))
      found.push(it);
  }
  return found;
}

/** Comments on lines that follow each other. */
function commentRuns(comments: readonly Range[]): FoldingRange[] {
  const runs: FoldingRange[] = [];
  let first: Range | undefined;
  let last: Range | undefined;
  const end = (): void => {
    if (first !== undefined && last !== undefined && last.end.line > first.start.line) {
      runs.push({ startLine: first.start.line, endLine: last.end.line, kind: FoldingRangeKind.Comment });
    }
  };
  for (const it of comments) {
    if (last === undefined || it.start.line > last.end.line + 1) {
      end();
      first = it;
    }
    last = it;
  }
  end();
  return runs;
}

/** Value, directive, block, statement. */
export function selectionRange(tree: ConfigTree, file: SourceFile, offset: number): SelectionRange {
  const statement = statementAt(tree, file, offset);
  let result: SelectionRange = { range: rangeOf({ file, start: 0, end: file.text.length }) };
  const add = (start: number, end: number): void => {
    if (start <= offset && offset <= end) result = { range: rangeOf({ file, start, end }), parent: result };
  };
  for (const it of statement?.node === undefined ? [] : directivesIn(statement.node)) {
    if (it.first.file === file && it.last.file === file) add(it.first.start, trimmed(it));
    if (it.open?.file === file && it.close?.file === file) add(it.open.end, it.close.start);
  }
  for (const it of statement?.tokens ?? []) {
    if (it.file === file && it.kind !== 'newline' && it.start <= offset && offset <= it.end) {
      add(it.start, it.end);
      break;
    }
  }
  return result;
}

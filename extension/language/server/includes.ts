/** Files as names: where each is included, and what changes in which file when one is renamed. */
import path from 'node:path';
import { type TextDocumentEdit, type TextEdit } from 'vscode-languageserver/node';
import type { ConfigHost } from '../../../vmm-core/config/configHost.ts';
import type { SourceFile } from '../../../vmm-core/vmConf/sourceFile.ts';
import { type ConfigTree, directivesIn, span, type ValueNode } from '../../../vmm-core/vmConf/syntaxTree.ts';
import { isPath, spotAt } from './occurrences.ts';
import { rangeOf, uriOf } from './workspace.ts';

/** A path that is written in a file. */
export interface PathUse {
  readonly file: SourceFile;
  readonly start: number;
  readonly end: number;
  readonly text: string;
  /** Absolute. */
  readonly target: string;
  readonly isInclude: boolean;
  /** Written out there, rather than made by a macro. */
  readonly isLiteral: boolean;
}

/** In all trees, each place once: several roots may include the same file. */
export function pathUses(trees: readonly ConfigTree[], host: ConfigHost): PathUse[] {
  const found = new Map<string, PathUse>();
  for (const { statements } of trees) {
    for (const { node } of statements) {
      for (const it of node === undefined ? [] : directivesIn(node)) {
        for (const [name, value] of Object.entries(it.args)) {
          if (value === undefined || !isPath(it.id, name)) continue;
          const use = useOf(value, it.id === 'include', host);
          found.set(`${use.file.path}:${use.start}`, use);
        }
      }
    }
  }
  return [...found.values()];
}

function useOf(value: ValueNode, isInclude: boolean, host: ConfigHost): PathUse {
  const place = span(value);
  const isLiteral = value.tokens.every((it) => it.macro === undefined && it.file === place.file);
  return {
    ...place,
    text: value.text,
    target: host.resolve(value.text, place.file.path),
    isInclude,
    isLiteral,
  };
}

/** The include at the cursor. */
export function includeAt(
  tree: ConfigTree,
  file: SourceFile,
  offset: number,
  host: ConfigHost,
): PathUse | undefined {
  const { node, value } = spotAt(tree, file, offset) ?? {};
  return node?.id === 'include' && value !== undefined ? useOf(value, true, host) : undefined;
}

/** What must be written elsewhere when the file `from` becomes `to`; a sentence when that is impossible. */
export function editsForRename(
  trees: readonly ConfigTree[],
  host: ConfigHost,
  from: string,
  to: string,
): TextDocumentEdit[] | string {
  const edits = new Map<string, TextEdit[]>();
  for (const use of pathUses(trees, host)) {
    const isOfMoved = use.file.path === from && !path.isAbsolute(use.text);
    const isToMoved = use.isInclude && use.target === from;
    if (!isToMoved && (!isOfMoved || path.dirname(from) === path.dirname(to))) continue;
    const target = isToMoved ? to : use.target;
    const folder = path.dirname(use.file.path === from ? to : use.file.path);
    const written = path.isAbsolute(use.text) ? target : path.relative(folder, target);
    if (written === use.text) continue;
    if (!use.isLiteral) return `"${use.text}" comes from a macro in ${use.file.path}: change it there first.`;
    if (/["\n\\]/.test(written)) return `"${written}" cannot be written in a vm.conf.`;
    const list = edits.get(use.file.path) ?? [];
    list.push({ range: rangeOf(use), newText: `"${written}"` });
    edits.set(use.file.path, list);
  }
  return [...edits].map(([name, list]) => ({
    textDocument: { uri: uriOf(name), version: null },
    edits: list,
  }));
}

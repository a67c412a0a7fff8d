/** Definition, references, rename, links. */
import { type DocumentLink, type Location, type WorkspaceEdit } from 'vscode-languageserver/node';
import type { ConfigHost } from '../../../vmm-core/config/configHost.ts';
import { nearest } from '../../../vmm-core/config/nearest.ts';
import type { SourceFile } from '../../../vmm-core/config/sourceFile.ts';
import { type ConfigTree, directivesIn, span } from '../../../vmm-core/config/syntaxTree.ts';
import { KEYWORDS } from '../../../vmm-core/config/token.ts';
import { isPath, type Occurrence, occurrenceAt, occurrences, spotAt } from './occurrences.ts';
import { type Range, rangeOf, uriOf } from './workspace.ts';

export function definition(tree: ConfigTree, file: SourceFile, offset: number, host: ConfigHost): Location[] {
  const name = occurrenceAt(tree, file, offset);
  if (name !== undefined) return declarations(tree, name).map(locationOf);
  const spot = spotAt(tree, file, offset);
  if (spot?.value === undefined || spot.argument === undefined || !isPath(spot.node.id, spot.argument.name))
    return [];
  const path = host.resolve(spot.value.text, file.path);
  const start = { line: 0, character: 0 };
  return host.exists?.(path) === true ? [{ uri: uriOf(path), range: { start, end: start } }] : [];
}

/** Of a macro the definition that counts where it is used: the last one before. */
function declarations(tree: ConfigTree, name: Occurrence): Occurrence[] {
  const all = [...occurrences(tree)].filter((it) => it.kind === name.kind && it.name === name.name);
  const at = all.findIndex((it) => it.file === name.file && it.start === name.start);
  const declared = all.filter((it) => it.isDeclaration);
  if (name.kind !== 'macro' || at < 0) return declared.slice(0, 1);
  const before = all.slice(0, at + 1).findLast((it) => it.isDeclaration);
  return before === undefined ? declared.slice(0, 1) : [before];
}

export function references(
  tree: ConfigTree,
  file: SourceFile,
  offset: number,
  includesDeclaration: boolean,
): Location[] {
  const name = occurrenceAt(tree, file, offset);
  if (name === undefined) return [];
  return [...occurrences(tree)]
    .filter(
      (it) => it.kind === name.kind && it.name === name.name && (includesDeclaration || !it.isDeclaration),
    )
    .map(locationOf);
}

function locationOf(place: Occurrence): Location {
  return { uri: uriOf(place.file.path), range: rangeOf(place) };
}

/** The range to rename, or a sentence why not. */
export function prepareRename(tree: ConfigTree, file: SourceFile, offset: number): Range | string {
  const name = occurrenceAt(tree, file, offset);
  if (name === undefined) return 'Only VMs, switches and macros can be renamed.';
  if (!name.isLiteral) return 'This name comes out of a macro: rename it there.';
  return rangeOf(name);
}

/** Edits in every file, or a sentence why not. */
export function rename(
  tree: ConfigTree,
  file: SourceFile,
  offset: number,
  newName: string,
): WorkspaceEdit | string {
  const name = occurrenceAt(tree, file, offset);
  if (name === undefined) return 'Only VMs, switches and macros can be renamed.';
  const wanted = /^(["'])(.*)\1$/s.exec(newName)?.[2] ?? newName;
  const problem = nameProblem(name, wanted);
  if (problem !== undefined) return problem;
  const changes: Record<string, { range: Range; newText: string }[]> = {};
  for (const it of occurrences(tree)) {
    if (it.kind !== name.kind || it.name !== name.name) continue;
    if (!it.isLiteral) return `"${name.name}" is made by a macro in ${it.file.path}: rename it there first.`;
    const newText = it.kind === 'macro' ? wanted : spelled(wanted, it);
    (changes[uriOf(it.file.path)] ??= []).push({ range: rangeOf(it), newText });
  }
  return { changes };
}

function nameProblem({ kind }: Occurrence, wanted: string): string | undefined {
  if (kind === 'macro')
    return /^[A-Za-z0-9_]+$/.test(wanted) && !KEYWORDS.has(wanted)
      ? undefined
      : `"${wanted}" cannot name a macro.`;
  return wanted === '' || /["'\n]/.test(wanted) ? `"${wanted}" cannot be a name.` : undefined;
}

/** Quoted as it was, or when it must be. */
function spelled(name: string, { file, start }: Occurrence): string {
  const quote = file.text.charAt(start);
  if (quote === '"' || quote === "'") return `${quote}${name}${quote}`;
  const isWord = /^[A-Za-z:_/][!-~]*$/.test(name) && !/[(){}!=#,$]/.test(name) && !KEYWORDS.has(name);
  return isWord ? name : `"${name}"`;
}

/** Included files, and images that exist. */
export function links(tree: ConfigTree, file: SourceFile, host: ConfigHost): DocumentLink[] {
  const found: DocumentLink[] = [];
  for (const { node } of tree.statements) {
    if (node === undefined || node.first.file !== file) continue;
    for (const it of directivesIn(node)) {
      for (const [name, value] of Object.entries(it.args)) {
        if (value === undefined || !isPath(it.id, name)) continue;
        const path = host.resolve(value.text, file.path);
        if (host.exists?.(path) === true) found.push({ range: rangeOf(span(value)), target: uriOf(path) });
      }
    }
  }
  return found;
}

export function suggestion(name: string, tree: ConfigTree): string | undefined {
  const switches = [...occurrences(tree)]
    .filter((it) => it.kind === 'switch' && it.isDeclaration)
    .map((it) => it.name);
  return nearest(name, switches);
}

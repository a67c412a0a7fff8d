/** Definition, references, rename, links. */
import { type DocumentLink, type Location, RenameFile, type WorkspaceEdit } from 'vscode-languageserver/node';
import type { ConfigHost } from '../../../vmm-core/config/configHost.ts';
import { nearest } from '../../../vmm-core/config/nearest.ts';
import type { SourceFile } from '../../../vmm-core/vmConf/sourceFile.ts';
import { type ConfigTree, directivesIn, span } from '../../../vmm-core/vmConf/syntaxTree.ts';
import { KEYWORDS } from '../../../vmm-core/vmConf/token.ts';
import { editsForRename, includeAt, pathUses } from './includes.ts';
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
  return host.kindOf?.(path) === 'a file' ? [{ uri: uriOf(path), range: { start, end: start } }] : [];
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

/** What a request about names needs besides the place. */
export interface Scope {
  /** That the file is seen in. */
  readonly tree: ConfigTree;
  readonly allTrees: readonly ConfigTree[];
  readonly host: ConfigHost;
  /** Whether the editor renames files when an edit says so. */
  readonly canRenameFiles: boolean;
}

export function references(
  scope: Scope,
  file: SourceFile,
  offset: number,
  includesDeclaration: boolean,
): Location[] {
  const { tree, allTrees, host } = scope;
  const name = occurrenceAt(tree, file, offset);
  if (name !== undefined)
    return everywhere(scope, name)
      .filter((it) => includesDeclaration || !it.isDeclaration)
      .map(locationOf);
  const include = includeAt(tree, file, offset, host);
  if (include === undefined) return [];
  return pathUses(allTrees, host)
    .filter((it) => it.isInclude && it.target === include.target)
    .map(locationOf);
}

/** The same name here and in every root that includes its declaration, each place once. */
function everywhere({ tree, allTrees }: Scope, { kind, name }: Occurrence): Occurrence[] {
  const same = (it: ConfigTree): Occurrence[] =>
    [...occurrences(it)].filter((other) => other.kind === kind && other.name === name);
  const declaredIn = new Set(same(tree).flatMap((it) => (it.isDeclaration ? [it.file.path] : [])));
  const others = allTrees.filter((it) => it !== tree && it.files.some((file) => declaredIn.has(file.path)));
  const found = [tree, ...others].flatMap(same);
  return [...new Map(found.map((it) => [`${it.file.path}:${it.start}`, it])).values()];
}

function locationOf(place: { file: SourceFile; start: number; end: number }): Location {
  return { uri: uriOf(place.file.path), range: rangeOf(place) };
}

const NOT_A_NAME = 'Only VMs, switches, macros and included files can be renamed.';

/** The range to rename, or a sentence saying why not. */
export function prepareRename({ tree, host }: Scope, file: SourceFile, offset: number): Range | string {
  const name = occurrenceAt(tree, file, offset) ?? includeAt(tree, file, offset, host);
  if (name === undefined) return NOT_A_NAME;
  if (!name.isLiteral) return 'This name comes from a macro: rename it there.';
  return rangeOf(name);
}

/** Edits in every file, or a sentence saying why not. */
export function rename(
  scope: Scope,
  file: SourceFile,
  offset: number,
  newName: string,
): WorkspaceEdit | string {
  const name = occurrenceAt(scope.tree, file, offset);
  const wanted = /^(["'])(.*)\1$/s.exec(newName)?.[2] ?? newName;
  if (name === undefined) return renameInclude(scope, file, offset, wanted);
  const problem = nameProblem(name, wanted);
  if (problem !== undefined) return problem;
  const changes: Record<string, { range: Range; newText: string }[]> = {};
  for (const it of everywhere(scope, name)) {
    if (!it.isLiteral) return `"${name.name}" comes from a macro in ${it.file.path}: rename it there first.`;
    const newText = it.kind === 'macro' ? wanted : spelled(wanted, it);
    (changes[uriOf(it.file.path)] ??= []).push({ range: rangeOf(it), newText });
  }
  return { changes };
}

/** The file itself, and its name in every file that includes it. */
function renameInclude(
  { tree, allTrees, host, canRenameFiles }: Scope,
  file: SourceFile,
  offset: number,
  wanted: string,
): WorkspaceEdit | string {
  const include = includeAt(tree, file, offset, host);
  if (include === undefined) return NOT_A_NAME;
  if (wanted === '') return 'A file needs a name.';
  const { target } = include;
  const to = host.resolve(wanted, file.path);
  if (to === target) return { documentChanges: [] };
  if (host.kindOf?.(to) !== undefined) return `There is a file ${to} already.`;
  if (!canRenameFiles)
    return `This editor does not rename files for us: rename ${target} and its includes by hand.`;
  const edits = editsForRename(allTrees, host, target, to);
  if (typeof edits === 'string') return edits;
  const isThere = host.kindOf?.(target) !== undefined;
  return { documentChanges: [...edits, ...(isThere ? [RenameFile.create(uriOf(target), uriOf(to))] : [])] };
}

function nameProblem({ kind }: Occurrence, wanted: string): string | undefined {
  if (kind === 'macro')
    return /^[A-Za-z0-9_]+$/.test(wanted) && !KEYWORDS.has(wanted)
      ? undefined
      : `"${wanted}" cannot name a macro.`;
  return wanted === '' || /["'\n]/.test(wanted) ? `"${wanted}" cannot be a name.` : undefined;
}

/** Quoted if it was, or if it must be. */
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
        if (host.kindOf?.(path) === 'a file')
          found.push({ range: rangeOf(span(value)), target: uriOf(path) });
      }
    }
  }
  return found;
}

/** Names of the switches that a tree declares: needed for every problem with one. */
const switchNames = new WeakMap<ConfigTree, readonly string[]>();

export function suggestion(name: string, tree: ConfigTree): string | undefined {
  const switches =
    switchNames.get(tree) ??
    tree.statements.flatMap(({ node }) => (node?.id === 'switch' ? (node.args['name']?.text ?? []) : []));
  switchNames.set(tree, switches);
  return nearest(name, switches);
}

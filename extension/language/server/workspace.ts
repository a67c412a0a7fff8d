/**
 * What the editor has open and what it includes, parsed. Each open file is a root of its own, unless an open
 * or known root includes it: then it is seen as part of that one, with its macros. A change to a root
 * re-reads only what it can affect (config/reparse.ts).
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { localConfigHost } from '../../../vmm-core/client/localConfigHost.ts';
import { checkTree } from '../../../vmm-core/vmConf/checkTree.ts';
import type { ConfigHost } from '../../../vmm-core/config/configHost.ts';
import { parseConfigFile, type ParseOptions } from '../../../vmm-core/vmConf/parseConfigFile.ts';
import type { Problem } from '../../../vmm-core/vmConf/problem.ts';
import { reparse } from '../../../vmm-core/vmConf/reparse.ts';
import { type Position, SourceFile } from '../../../vmm-core/vmConf/sourceFile.ts';
import type { ConfigTree } from '../../../vmm-core/vmConf/syntaxTree.ts';

export interface Range {
  readonly start: Position;
  readonly end: Position;
}

/** As LSP sends it; without a range `text` is the whole file. */
export interface ContentChange {
  readonly range?: Range;
  readonly text: string;
}

export interface Settings {
  /** Check as OpenBSD's vmd -n does. */
  readonly openbsd: boolean;
}

/** Workspace folders are searched for roots this deep, and no more files than this are looked at. */
const MAX_DEPTH = 4;
const MAX_ENTRIES = 5000;
/** This many statements read again for one key press are reported. */
const MANY_STATEMENTS = 300;
/** Thousands of VMs: any question about them takes long. */
const LARGE_TEXT = 2 ** 20;
const CONFIG_FILE = /(^|\.)vm\.conf$/;
const SKIPPED = new Set(['node_modules', '.git', 'dist', 'build']);

interface OpenFile {
  version: number;
  file: SourceFile;
  tree: ConfigTree | undefined;
}

export class Workspace {
  readonly host: Required<ConfigHost>;
  settings: Settings = { openbsd: false };
  /**
   * Much must be read: of a large file, or because a key press changed what much of it depends on, as the
   * next one will.
   */
  onLargeRead: () => void = () => undefined;
  readonly #open = new Map<string, OpenFile>();
  /** Roots that are not open, read when an open file belongs to none. */
  #closedRoots: Map<string, ConfigTree> | undefined;
  #folders: readonly string[] = [];
  /** Valid until an edit makes another tree, or the host is checked again. */
  #problems = new WeakMap<ConfigTree, readonly Problem[]>();

  constructor() {
    const local = localConfigHost();
    this.host = { ...local, readText: (name) => this.#open.get(name)?.file.text ?? local.readText(name) };
  }

  set folders(folders: readonly string[]) {
    this.#folders = folders;
    this.#closedRoots = undefined;
  }

  get openFiles(): readonly string[] {
    return [...this.#open.keys()];
  }

  version(name: string): number {
    return this.#open.get(name)?.version ?? 0;
  }

  open(name: string, version: number, text: string): void {
    if (text.length >= LARGE_TEXT) this.onLargeRead();
    this.#open.set(name, { version, file: new SourceFile(name, text), tree: undefined });
    this.#forgetIncluding(name);
  }

  change(name: string, version: number, changes: readonly ContentChange[]): void {
    const open = this.#open.get(name);
    if (open === undefined) return;
    open.version = version;
    for (const change of changes) this.#apply(open, change);
    this.#forgetIncluding(name);
  }

  #apply(open: OpenFile, { range, text }: ContentChange): void {
    const { file } = open;
    if (range === undefined) {
      file.replaceText(text);
      open.tree = undefined;
      return;
    }
    const edit = { start: file.offset(range.start), end: file.offset(range.end), text };
    if (open.tree === undefined) file.edit(edit);
    else {
      const { tree, read } = reparse(open.tree, edit, this.#options);
      if (read >= MANY_STATEMENTS) this.onLargeRead();
      open.tree = tree;
    }
  }

  close(name: string): void {
    this.#open.delete(name);
    this.#forgetIncluding(name);
  }

  /** Files or accounts of the machine may have changed. */
  forgetHost(): void {
    this.#closedRoots = undefined;
    this.#problems = new WeakMap();
    for (const { tree } of this.#open.values())
      for (const it of tree?.statements ?? []) it.findings = undefined;
  }

  forgetTrees(): void {
    this.#closedRoots = undefined;
    for (const open of this.#open.values()) open.tree = undefined;
  }

  /** The file by itself as the root. */
  ownTree(name: string): ConfigTree | undefined {
    const open = this.#open.get(name);
    if (open === undefined) return undefined;
    return (open.tree ??= parseConfigFile(open.file, this.#options));
  }

  /** The tree that the file belongs to, and the file in it. */
  treeOf(name: string): { tree: ConfigTree; file: SourceFile } | undefined {
    const own = this.ownTree(name);
    const tree = this.#including(name) ?? own ?? this.#rootsOnDisk().get(name);
    const file = tree?.files.find((it) => it.path === name);
    return tree === undefined || file === undefined ? undefined : { tree, file };
  }

  /** Every tree there is, closed roots included: for symbols of the workspace. */
  allTrees(): ConfigTree[] {
    const open = this.openFiles.flatMap((it) => this.treeOf(it)?.tree ?? []);
    return [...new Set([...open, ...this.#rootsOnDisk().values()])];
  }

  /** What is wrong in the file, seen from the root that it belongs to. */
  problems(name: string): readonly Problem[] {
    const found = this.treeOf(name);
    if (found === undefined) return [];
    return this.problemsOf(found.tree).filter((it) => it.file === found.file);
  }

  /** What is wrong in all of its files. */
  problemsOf(tree: ConfigTree): readonly Problem[] {
    const problems = this.#problems.get(tree) ?? checkTree(tree, this.host);
    this.#problems.set(tree, problems);
    return problems;
  }

  /** Open files that show something of this one. */
  related(name: string): readonly string[] {
    return this.openFiles.filter(
      (it) => it === name || this.treeOf(it)?.tree.files.some((file) => file.path === name) === true,
    );
  }

  #including(name: string): ConfigTree | undefined {
    for (const other of this.openFiles) {
      const tree = other === name ? undefined : this.ownTree(other);
      if (tree?.files.some((it) => it.path === name) === true) return tree;
    }
    for (const tree of this.#rootsOnDisk().values()) {
      if (tree.root.path !== name && tree.files.some((it) => it.path === name)) return tree;
    }
    return undefined;
  }

  #rootsOnDisk(): ReadonlyMap<string, ConfigTree> {
    if (this.#closedRoots !== undefined) return this.#closedRoots;
    this.#closedRoots = new Map();
    for (const name of configFiles(this.#folders)) {
      const text = this.#open.has(name) ? undefined : this.host.readText(name);
      if (text !== undefined)
        this.#closedRoots.set(name, parseConfigFile(new SourceFile(name, text), this.#options));
    }
    return this.#closedRoots;
  }

  #forgetIncluding(name: string): void {
    for (const [other, open] of this.#open) {
      if (other !== name && open.tree?.files.some((it) => it.path === name) === true) open.tree = undefined;
    }
    const isKnown = [...(this.#closedRoots?.values() ?? [])].some((it) =>
      it.files.some((file) => file.path === name),
    );
    if (isKnown) this.#closedRoots = undefined;
  }

  get #options(): ParseOptions {
    return { host: this.host, dialect: this.settings.openbsd ? 'vmd' : 'trapframe' };
  }
}

export function pathOf(uri: string): string {
  return uri.startsWith('file:') ? fileURLToPath(uri) : uri;
}

export function uriOf(name: string): string {
  return path.isAbsolute(name) ? pathToFileURL(name).href : name;
}

export function rangeOf(place: { file: SourceFile; start: number; end: number }): Range {
  return { start: place.file.position(place.start), end: place.file.position(place.end) };
}

function configFiles(folders: readonly string[]): string[] {
  const found: string[] = [];
  let left = MAX_ENTRIES;
  const visit = (folder: string, depth: number): void => {
    for (const entry of entriesOf(folder)) {
      if (left-- <= 0) return;
      const name = path.join(folder, entry.name);
      if (entry.isFile() && CONFIG_FILE.test(entry.name)) found.push(name);
      else if (entry.isDirectory() && depth < MAX_DEPTH && !SKIPPED.has(entry.name)) visit(name, depth + 1);
    }
  };
  for (const folder of folders) visit(folder, 0);
  return found;
}

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return []; // gone, or not readable: nothing to offer from there
  }
}

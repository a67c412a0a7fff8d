/**
 * What the parser makes of a vm.conf. Together with the files' texts it loses nothing: what no token covers
 * is blank or a comment.
 */
import type { DirectiveId } from './directives.ts';
import type { Problem } from './problem.ts';
import type { SourceFile } from './sourceFile.ts';
import type { Comment, MacroDefinition, MacroUse, Token } from './token.ts';

/** `vmd`: what OpenBSD's vmd -n accepts, nothing more. */
export type Dialect = 'trapframe' | 'vmd';

/** An argument: the concatenated value of its tokens. */
export interface ValueNode {
  readonly text: string;
  readonly isNumber: boolean;
  /** At least one. */
  readonly tokens: readonly Token[];
}

export interface DirectiveNode {
  readonly id: DirectiveId;
  /** The words that name it: at least one, except for a macro. */
  readonly words: readonly Token[];
  readonly args: Readonly<Record<string, ValueNode | undefined>>;
  /** The contents of its block or list. */
  readonly items: readonly DirectiveNode[];
  readonly open?: Token;
  readonly close?: Token;
  readonly first: Token;
  readonly last: Token;
}

/**
 * One directive at top level. Usually whole in one file; vmd lets a block begin in an included file and end
 * in the including one, so every token knows its own.
 */
export interface Statement {
  /** Undefined when it could not be made out. */
  readonly node: DirectiveNode | undefined;
  /** All of it, including the newline at its end. */
  readonly tokens: readonly Token[];
  /** In it, and between it and the previous statement. */
  readonly comments: readonly Comment[];
  readonly macroUses: readonly MacroUse[];
  /** Found by lexer and parser. */
  readonly problems: readonly Problem[];
  /**
   * The offset in the root file where reading the next one may start; -1 when it cannot start there.
   */
  next: number;
  /** An edit before this offset in the root file may change it: how far the parser looked to find its end. */
  reach: number;
  /** Found by checkStatement.ts in this statement alone; undefined before. */
  findings: readonly Problem[] | undefined;
}

export interface ConfigTree {
  readonly root: SourceFile;
  readonly dialect: Dialect;
  readonly statements: readonly Statement[];
  /** The root and all included files. */
  readonly files: readonly SourceFile[];
  readonly macros: ReadonlyMap<string, MacroDefinition>;
  /** Too much was included: some was left out. */
  readonly isCut: boolean;
}

export function span(value: ValueNode): { file: SourceFile; start: number; end: number } {
  return spanOf(value.tokens);
}

export function spanOf(tokens: readonly Token[]): { file: SourceFile; start: number; end: number } {
  const first = tokens[0];
  const last = tokens.at(-1);
  if (first === undefined || last === undefined) throw new Error('a value without tokens');
  // What came from an expansion or an include is shown at its beginning.
  const end = last.file === first.file && last.end >= first.start ? last.end : first.end;
  return { file: first.file, start: first.start, end };
}

/** A VM's name: for an instance, the second. */
export function vmName(node: DirectiveNode): ValueNode | undefined {
  return node.args['instance'] ?? node.args['name'];
}

/** Every directive of a statement, outer ones first. */
export function* directivesIn(node: DirectiveNode): Generator<DirectiveNode> {
  yield node;
  for (const item of node.items) yield* directivesIn(item);
}

/**
 * The one layout of vm.conf: tabs by the depth of braces, one blank between words, at most one empty line.
 * Newlines are part of the grammar, so none is added or removed except in runs of empty lines, and the text
 * in quotes, macros and comments stays as it is. Where a blank would change what the neighbours mean (`5{` is
 * a name and a brace, `5 {` a number and a brace) the text is kept.
 */
import type { ConfigHost } from '../config/configHost.ts';
import { IncludeBudget } from './includeBudget.ts';
import { readStatements } from './parseConfigFile.ts';
import { distinct, type Problem } from './problem.ts';
import { SourceFile } from './sourceFile.ts';
import type { Statement } from './syntaxTree.ts';
import type { MacroDefinition, Token } from './token.ts';

export interface Formatted {
  /** Absent when the text has syntax errors: its meaning is unknown. */
  readonly text?: string;
  readonly problems: readonly Problem[];
}

/** `host` reads included files, for their macros; without one, macros are taken to be single words. */
export function formatConfigFile(path: string, text: string, host: ConfigHost = ALONE): Formatted {
  const root = new SourceFile(path, text);
  const options = { host };
  const macros = new AnyMacros();
  const files = [root];
  const statements = readStatements({
    root,
    offset: 0,
    macros,
    files,
    includes: new IncludeBudget(),
    options,
    isEnough: () => false,
  });
  const problems = statements
    .filter((it) => !it.macroUses.some(({ definition }) => definition === PLACEHOLDER))
    .flatMap((it) => it.problems)
    .filter((it) => it.code !== 'include' && it.file === root);
  return problems.length > 0
    ? { problems: distinct(problems) }
    : { text: layOut(root, statements), problems };
}

const ALONE: ConfigHost = { resolve: (name) => name, readText: () => undefined };

/** A file that others include may use their macros. */
const PLACEHOLDER: MacroDefinition = { name: '', value: 'x', isFixed: false };

class AnyMacros extends Map<string, MacroDefinition> {
  override get(name: string): MacroDefinition {
    return super.get(name) ?? PLACEHOLDER;
  }
}

type PieceKind = 'word' | 'open' | 'close' | 'comma' | 'equals' | 'newline' | 'comment';

/** What is in the file: a token, a macro use with what is glued to it, or a comment. */
interface Piece {
  readonly kind: PieceKind;
  readonly start: number;
  readonly end: number;
  /** Its kind depends on what follows: digits that are a name because no blank follows, a macro's value. */
  readonly isFragile: boolean;
}

function layOut(root: SourceFile, statements: readonly Statement[]): string {
  const out = new Layout(root.text);
  for (const piece of pieces(root, statements)) out.add(piece);
  return out.finish();
}

class Layout {
  readonly #text: string;
  /**
   * Parts of the text, joined at the end: reading the end of a string that grows piece by piece costs its
   * whole length each time.
   */
  readonly #out: string[] = [];
  #depth = 0;
  #emptyLines = 0;
  #previous: Piece | undefined;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  add(piece: Piece): void {
    const gap = this.#text.slice(this.#at, piece.start);
    this.#at = piece.end;
    if (piece.kind === 'newline') return this.#newline(piece, gap);
    if (piece.kind === 'close') this.#depth = Math.max(0, this.#depth - 1);
    this.#out.push(this.#isLineStart() ? this.#indent(piece, gap) : this.#between(piece, gap));
    this.#out.push(this.#text.slice(piece.start, piece.end));
    if (piece.kind === 'open') this.#depth++;
    this.#previous = piece;
  }

  finish(): string {
    const all = this.#out.join('');
    let end = all.length;
    while (all.charAt(end - 1) === '\n') end--;
    return end === 0 ? '' : `${all.slice(0, end)}\n`;
  }

  #isLineStart(): boolean {
    return this.#previous === undefined || this.#previous.kind === 'newline';
  }

  /** The gap holds blanks and joined lines that are empty; both go. */
  #newline(piece: Piece, gap: string): void {
    if (!/^[ \t\\\n]*$/.test(gap)) this.#out.push(gap);
    else if (this.#isLineStart()) {
      this.#emptyLines++;
      this.#previous = piece;
      return;
    }
    this.#out.push('\n');
    this.#emptyLines = 0;
    this.#previous = piece;
  }

  #indent(piece: Piece, gap: string): string {
    const hadEmpty = this.#emptyLines > 0;
    const isEdge = this.#out.length === 0 || this.#endsWithOpenLine() || piece.kind === 'close';
    this.#emptyLines = 0;
    const joined = gap.includes('\\') ? gap.slice(gap.indexOf('\\')) : '';
    return (hadEmpty && !isEdge ? '\n' : '') + '\t'.repeat(this.#depth) + joined;
  }

  /** The newline is the last part; before it may be a gap without text. */
  #endsWithOpenLine(): boolean {
    return this.#out.slice(-3).join('').endsWith('{\n');
  }

  #between(piece: Piece, gap: string): string {
    const previous = this.#previous;
    if (previous === undefined) return gap;
    if (gap === '') {
      const isKept =
        previous.isFragile || piece.kind === 'comma' || (piece.kind === 'word' && previous.kind === 'word');
      return isKept ? '' : separator(piece);
    }
    const hasBlank = /[ \t]/.test(gap);
    if (previous.isFragile && (!hasBlank || piece.kind === 'comma')) return gap;
    if (/^(?:[ \t]*\\\n)+[ \t]*$/.test(gap)) return ` \\\n${'\t'.repeat(this.#depth)}    `;
    if (!/^[ \t]*$/.test(gap)) return gap;
    return piece.kind === 'comma' ? '' : separator(piece);
  }
}

function separator(piece: Piece): string {
  return piece.kind === 'comment' ? '\t' : ' ';
}

/** In the order of the text. Tokens of one macro use, and what is glued to it, are one piece. */
function pieces(root: SourceFile, statements: readonly Statement[]): Piece[] {
  const found: Piece[] = [];
  for (const { tokens, comments, macroUses } of statements) {
    for (const token of tokens) {
      if (token.file === root && token.end > token.start) found.push(pieceOf(token, root.text));
    }
    for (const { file, start, end } of macroUses)
      if (file === root) found.push({ kind: 'word', start, end, isFragile: true });
    for (const { file, start, end } of comments)
      if (file === root) found.push({ kind: 'comment', start, end, isFragile: false });
  }
  found.sort((a, b) => a.start - b.start || b.end - a.end);
  const result: Piece[] = [];
  for (const piece of found) {
    const last = result.at(-1);
    if (last === undefined || piece.start >= last.end) result.push(piece);
    else if (piece.end > last.end) result[result.length - 1] = { ...last, end: piece.end };
  }
  return result;
}

function pieceOf(token: Token, text: string): Piece {
  const { start, end, kind } = token;
  const marks: Readonly<Record<string, PieceKind>> = {
    '{': 'open',
    '}': 'close',
    ',': 'comma',
    '=': 'equals',
  };
  const mark = kind === 'mark' && token.macro === undefined ? marks[token.text] : undefined;
  const isFragile = token.macro !== undefined || (kind === 'word' && /^-?\d+$/.test(text.slice(start, end)));
  return { kind: kind === 'newline' ? 'newline' : (mark ?? 'word'), start, end, isFragile };
}

/**
 * vm.conf's lexer: the character machine of vmd's parse.y, rebuilt so that every character knows where it was
 * written. Upstream reads through three layers (raw characters with push-back; joined lines and squeezed
 * blanks; tokens) and a macro's value is pushed back as text, so that it can be part of a word, several
 * tokens, a quote or a comment. The layers here are the same three for that reason.
 */
import type { Problem } from './problem.ts';
import type { ProblemCode } from '../config/problemCode.ts';
import type { SourceFile } from './sourceFile.ts';
import {
  type Comment,
  KEYWORDS,
  type MacroDefinition,
  type MacroUse,
  type Token,
  type TokenKind,
} from './token.ts';

const END = -1;
/** Marks around a pushed-back macro value, as upstream: a `$` between them is not expanded. */
const START_EXPAND = 1;
const DONE_EXPAND = 2;

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const BLANK = 0x20;
const TAB = 0x09;
const BACKSLASH = 0x5c;
const HASH = 0x23;
const DOLLAR = 0x24;
const MINUS = 0x2d;
const DOUBLE_QUOTE = 0x22;
const SINGLE_QUOTE = 0x27;

const CRLF_MESSAGE = 'this file has CRLF line ends, which vmd does not read: save it with LF';

/** Upstream's token buffer. */
const BUFFER_BYTES = 8096;
/** Upstream would continue until memory runs out; a file that asks for this much is refused. */
const MAX_EXPANSION = 16 * 1024 * 1024;
const INT64_MAX = (1n << 63n) - 1n;

const IS_ALNUM = table((c) => /[A-Za-z0-9]/.test(c));
const IS_WORD = table((c) => /[!-~]/.test(c) && !'(){}!=#,'.includes(c));
const IS_PLAIN_WORD = table((c) => /[!-~]/.test(c) && !'(){}!=#,\\'.includes(c));
/** The rest of Latin and everything else is left to the slow path. */
const IN_COMMENT = table((c) => !'\n\\\x01\x02'.includes(c));
/** No token of the fast path is long enough to come near a limit. */
const MAX_QUICK = 1024;
const IS_QUICK_MARK = table((c) => '{},='.includes(c));
const ENDS_WORD = table((c) => ' \t\n\r(){}!=#,'.includes(c));
const ENDS_NUMBER = table((c) => /[\s),/}=]/.test(c));

/** One open file: the rest of its text, and what was read too far. */
interface Cursor {
  readonly file: SourceFile;
  at: number;
  endReached: boolean;
  /** Pushed-back characters, last first, three numbers each: code, start, end. */
  readonly pushed: number[];
}

export interface LexerOptions {
  readonly macros: Map<string, MacroDefinition>;
  readonly report: (problem: Problem) => void;
}

export class Lexer {
  readonly comments: Comment[] = [];
  readonly macroUses: MacroUse[] = [];
  readonly #macros: Map<string, MacroDefinition>;
  readonly #report: (problem: Problem) => void;
  readonly #parents: Cursor[] = [];
  #cursor: Cursor;
  #expanding = false;
  #expanded = 0;
  #use: MacroUse | undefined;
  /** The file that the last character read came from. */
  #macro: MacroUse | undefined;
  /** Of the last character read. */
  #start = 0;
  #end = 0;

  constructor(file: SourceFile, offset: number, { macros, report }: LexerOptions) {
    this.#cursor = openCursor(file, offset);
    this.#macros = macros;
    this.#report = report;
  }

  /**
   * Continues in another file, and returns at its end. The caller has read the newline after `include
   * "file"`.
   */
  include(file: SourceFile): void {
    this.#parents.push(this.#cursor);
    this.#cursor = openCursor(file, 0);
  }

  isOpen(path: string): boolean {
    return this.#cursor.file.path === path || this.#parents.some((it) => it.file.path === path);
  }

  /** How many files are open: 1 in the root. */
  get depth(): number {
    return this.#parents.length + 1;
  }

  /**
   * Whether reading can start again at `offset` with nothing but the macros: in the root, outside an
   * expansion.
   */
  get isClean(): boolean {
    return this.#parents.length === 0 && this.#cursor.pushed.length === 0 && !this.#expanding;
  }

  get file(): SourceFile {
    return this.#cursor.file;
  }

  /** Where the next token may start. */
  get offset(): number {
    return this.#cursor.at;
  }

  next(): Token {
    const written = this.#written();
    if (written !== undefined) return written;
    for (;;) {
      let c = this.#read();
      while (c === BLANK || c === TAB || (c === RETURN && this.#endsLine())) c = this.#read();
      if (c === HASH) c = this.#skipComment();
      if (c !== DOLLAR || this.#expanding) return this.#token(c);
      const failed = this.#expandMacro();
      if (failed !== undefined) return failed;
    }
  }

  /**
   * The fast path for most of a file: a token that is there verbatim, with nothing after it that would join
   * lines or push back. Undefined when that is not certain; only blanks have been read then.
   */
  #written(): Token | undefined {
    const cursor = this.#cursor;
    if (cursor.pushed.length > 0 || this.#expanding) return undefined;
    const { file } = cursor;
    const { text } = file;
    let { at } = cursor;
    let c = text.charCodeAt(at);
    while (c === BLANK || c === TAB) c = text.charCodeAt(++at);
    cursor.at = at;
    if (c === DOUBLE_QUOTE || c === SINGLE_QUOTE) return this.#writtenString(c);
    let kind: TokenKind = 'mark';
    if (c === NEWLINE) kind = 'newline';
    else if (startsWord(c) && !isDigit(c)) {
      do c = text.charCodeAt(++at);
      while (IS_PLAIN_WORD[c] === true);
      if (ENDS_WORD[c] !== true || at - cursor.at >= MAX_QUICK) return undefined;
      const word = text.slice(cursor.at, at);
      const keyword = KEYWORDS.get(word);
      const start = cursor.at;
      cursor.at = at;
      if (keyword !== undefined) return token('keyword', keyword, file, start, at);
      return token('word', copyOf(word), file, start, at);
    } else if (IS_QUICK_MARK[c] !== true) return undefined;
    cursor.at = at + 1;
    return token(kind, String.fromCharCode(c), file, at, at + 1);
  }

  #writtenString(quote: number): Token | undefined {
    const cursor = this.#cursor;
    const { file, at } = cursor;
    const end = file.text.indexOf(String.fromCharCode(quote), at + 1);
    if (end < 0 || end - at > MAX_QUICK) return undefined;
    const value = file.text.slice(at + 1, end);
    if (/[\\\n\0\x01\x02]/.test(value)) return undefined;
    cursor.at = end + 1;
    return token('string', copyOf(value), file, at, end + 1);
  }

  // Layer 1: characters.

  #raw(): number {
    for (;;) {
      const cursor = this.#cursor;
      const { pushed } = cursor;
      let c: number;
      const isPushed = pushed.length > 0;
      if (isPushed) {
        this.#end = pushed.pop() ?? 0;
        this.#start = pushed.pop() ?? 0;
        c = pushed.pop() ?? 0;
      } else {
        this.#start = cursor.at;
        if (cursor.at < cursor.file.text.length) c = cursor.file.text.charCodeAt(cursor.at++);
        else c = END;
        this.#end = cursor.at;
      }
      if (c !== START_EXPAND && c !== DONE_EXPAND) return c;
      // Upstream does not distinguish its marks from the same bytes in a file. Neither do we, but only ours
      // are a macro.
      this.#expanding = c === START_EXPAND;
      this.#macro = this.#expanding && isPushed ? this.#use : undefined;
    }
  }

  #unread(c: number, start = this.#start, end = this.#end): void {
    if (c !== END) this.#cursor.pushed.push(c, start, end);
  }

  // Layer 2: joined lines, squeezed blanks, the newline that every file ends with.

  #read(): number {
    let c = this.#raw();
    while (c === BACKSLASH) {
      const start = this.#start;
      const next = this.#raw();
      if (next !== NEWLINE) {
        c = next;
        this.#start = start; // the escaped character begins at its backslash
        break;
      }
      c = this.#raw();
    }
    if (c === BLANK || c === TAB) this.#skipBlanks();
    return c === END ? this.#readPastEnd() : c;
  }

  /**
   * From the file even when the blank came from a macro's value: upstream's getc() here bypasses the
   * push-back.
   */
  #skipBlanks(): void {
    const cursor = this.#cursor;
    const { text } = cursor.file;
    let code = text.charCodeAt(cursor.at);
    while (code === BLANK || code === TAB) code = text.charCodeAt(++cursor.at);
  }

  #readPastEnd(): number {
    if (!this.#cursor.endReached) {
      this.#cursor.endReached = true;
      return NEWLINE;
    }
    for (;;) {
      const parent = this.#parents.pop();
      if (parent === undefined) return END;
      this.#cursor = parent;
      const c = this.#raw();
      if (c !== END) return c;
    }
  }

  // Layer 3: tokens.

  /**
   * Whether the carriage return just read belongs to the end of its line: an error, after which it is
   * treated as a blank, so that the rest of the line means what was intended. checkTree.ts keeps the first
   * one in a file.
   */
  #endsLine(): boolean {
    const { file, pushed, at } = this.#cursor;
    if (pushed.length > 0 || file.text.charCodeAt(at) !== NEWLINE) return false;
    this.#report(problem(file, 'crlf', CRLF_MESSAGE, this.#start, this.#end));
    return true;
  }

  #skipComment(): number {
    const { file } = this.#cursor;
    const start = this.#start;
    let end = this.#end;
    let c: number;
    do {
      end = this.#skipPlain(end, IN_COMMENT);
      c = this.#read();
      if (c !== NEWLINE && c !== END) end = this.#end;
    } while (c !== NEWLINE && c !== END);
    this.comments.push({ file, start, end });
    return c;
  }

  /**
   * The fast path through text that layers 1 and 2 would pass on unchanged, except that blanks are not
   * squeezed.
   */
  #skipPlain(end: number, isPlain: readonly boolean[]): number {
    const cursor = this.#cursor;
    if (cursor.pushed.length > 0) return end;
    const { text } = cursor.file;
    let { at } = cursor;
    // The tables have nothing outside ASCII, and at the end there is no code.
    while (isPlain[text.charCodeAt(at)] === true) at++;
    if (at === cursor.at) return end;
    cursor.at = at;
    return at;
  }

  /** Pushes the value back; a token when there is none to push. */
  #expandMacro(): Token | undefined {
    const { file } = this.#cursor;
    const start = this.#start;
    let end = this.#end;
    let name = '';
    let c = this.#read();
    while (IS_ALNUM[c] === true || c === 0x5f) {
      name += String.fromCharCode(c);
      end = this.#end;
      if (name.length >= BUFFER_BYTES - 2)
        return this.#refuse('too-long', 'the macro name is too long', start, end);
      c = this.#read();
    }
    this.#unread(c);
    const definition = this.#macros.get(name);
    this.#use = { name, definition, file, start, end };
    this.macroUses.push(this.#use);
    if (definition === undefined) {
      const message =
        name === ''
          ? 'a macro name must follow $; quote the value if $ is meant'
          : `macro "${name}" is not defined`;
      return this.#refuse('undefined-macro', message, start, end, name);
    }
    const { value } = definition;
    this.#expanded += value.length;
    if (this.#expanded > MAX_EXPANSION)
      return this.#refuse('too-long', 'the macros expand to too much text', start, end);
    this.#unread(DONE_EXPAND, start, end);
    for (let i = value.length - 1; i >= 0; i--) this.#unread(value.charCodeAt(i), start, end);
    this.#unread(START_EXPAND, start, end);
    return undefined;
  }

  #token(c: number): Token {
    if (c === DOUBLE_QUOTE || c === SINGLE_QUOTE) return this.#quoted(c);
    if (c === MINUS || isDigit(c)) return this.#number(c);
    if (startsWord(c)) return this.#word(c);
    if (c === NEWLINE) return this.#make('newline', '\n', this.#start, this.#end);
    if (c === END) return this.#make('end', '', this.#start, this.#end);
    return this.#make('mark', String.fromCharCode(c), this.#start, this.#end);
  }

  #quoted(quote: number): Token {
    const { file } = this.#cursor;
    const start = this.#start;
    let macro = this.#macro;
    let text = '';
    let bytes = 0;
    for (;;) {
      let c = this.#raw();
      if (c === quote) break;
      macro = this.#macro ?? macro;
      if (c === END) {
        this.#report(
          problem(file, 'unterminated-string', 'the quoted string is not closed', start, start + 1),
        );
        return { kind: 'error', text, file, start, end: this.#end };
      }
      if (c === NEWLINE) continue;
      if (c === 0) return this.#refuse('syntax', 'a NUL byte is not allowed here', this.#start, this.#end);
      if (c === BACKSLASH) {
        const [before, after] = [this.#start, this.#end];
        const next = this.#raw();
        if (next === NEWLINE) continue;
        if (next === quote || next === BLANK || next === TAB) c = next;
        else this.#unread(next);
        if (c === BACKSLASH) [this.#start, this.#end] = [before, after];
      }
      bytes += c < 0x80 ? 1 : c < 0x800 || (c >= 0xd800 && c <= 0xdfff) ? 2 : 3;
      if (bytes > BUFFER_BYTES - 2)
        return this.#refuse('too-long', 'the string is longer than 8094 bytes', start, this.#end);
      text += String.fromCharCode(c);
    }
    return token('string', copyOf(text), file, start, this.#endIn(file, start), macro);
  }

  #number(first: number): Token {
    const { file } = this.#cursor;
    const start = this.#start;
    const characters = [{ c: first, start, end: this.#end }];
    const macro = this.#macro;
    let c = this.#read();
    while (isDigit(c)) {
      characters.push({ c, start: this.#start, end: this.#end });
      if (characters.length >= BUFFER_BYTES)
        return this.#refuse('too-long', 'the number is too long', start, this.#end);
      c = this.#read();
    }
    this.#unread(c);
    const text = characters.map((it) => String.fromCharCode(it.c)).join('');
    const end = characters.at(-1)?.end ?? start;
    if (text !== '-' && (c === END || ENDS_NUMBER[c] === true)) {
      const value = BigInt(text);
      if (value <= INT64_MAX && value >= -INT64_MAX - 1n)
        return token('number', text, file, start, end, macro);
      return this.#refuse('number-range', `${text} does not fit in 64 bits`, start, end);
    }
    // Not a number after all: read again as the beginning of a word.
    for (const it of characters.slice(1).reverse()) this.#unread(it.c, it.start, it.end);
    this.#start = start;
    this.#end = characters[0]?.end ?? start;
    return first === MINUS ? token('mark', '-', file, start, this.#end, macro) : this.#word(first, macro);
  }

  #word(first: number, from?: MacroUse): Token {
    const { file } = this.#cursor;
    const start = this.#start;
    let end = this.#end;
    let macro = from ?? this.#macro;
    let text = String.fromCharCode(first);
    let c: number;
    for (;;) {
      const cursor = this.#cursor;
      const { at } = cursor;
      end = this.#skipPlain(end, IS_PLAIN_WORD);
      if (cursor.at > at) text += file.text.slice(at, cursor.at);
      c = this.#read();
      if (IS_WORD[c] !== true) break;
      macro = this.#macro ?? macro;
      text += String.fromCharCode(c);
      end = this.#end;
      if (text.length >= BUFFER_BYTES)
        return this.#refuse('too-long', 'the word is longer than 8095 bytes', start, end);
    }
    this.#unread(c);
    if (text.length >= BUFFER_BYTES)
      return this.#refuse('too-long', 'the word is longer than 8095 bytes', start, end);
    const keyword = KEYWORDS.get(text);
    if (keyword !== undefined) return token('keyword', keyword, file, start, end, macro);
    return token('word', copyOf(text), file, start, end, macro);
  }

  #make(kind: TokenKind, text: string, start: number, end: number): Token {
    return token(kind, text, this.#cursor.file, start, end, this.#macro);
  }

  /** Reports and skips the rest of the line, but not its newline: upstream loses the next line as well. */
  #refuse(code: ProblemCode, message: string, start: number, end: number, subject?: string): Token {
    const { file } = this.#cursor;
    this.#report(problem(file, code, message, start, Math.max(end, start), subject));
    let c = this.#read();
    while (c !== NEWLINE && c !== END) c = this.#read();
    this.#unread(c);
    return { kind: 'error', text: '', file, start, end: Math.max(end, start) };
  }

  /** A string that a macro's value opens and the file closes ends in the file. */
  #endIn(file: SourceFile, start: number): number {
    return this.#cursor.file === file ? Math.max(this.#end, start) : file.text.length;
  }
}

/**
 * V8 keeps long slices and concatenations as references to their parts: here to every version of an edited
 * file.
 */
const MAX_COPIED_BY_V8 = 12;

function copyOf(text: string): string {
  if (text.length <= MAX_COPIED_BY_V8) return text;
  const codes: number[] = [];
  for (let i = 0; i < text.length; i++) codes.push(text.charCodeAt(i));
  return String.fromCharCode(...codes);
}

function openCursor(file: SourceFile, at: number): Cursor {
  return { file, at, endReached: false, pushed: [] };
}

function token(
  kind: TokenKind,
  text: string,
  file: SourceFile,
  start: number,
  end: number,
  macro?: MacroUse,
): Token {
  return macro === undefined ? { kind, text, file, start, end } : { kind, text, file, start, end, macro };
}

function problem(
  file: SourceFile,
  code: ProblemCode,
  message: string,
  start: number,
  end: number,
  subject?: string,
): Problem {
  return {
    severity: 'error',
    code,
    message,
    file,
    start,
    end,
    ...(subject === undefined ? {} : { subject }),
  };
}

function isDigit(c: number): boolean {
  return c >= 0x30 && c <= 0x39;
}

function startsWord(c: number): boolean {
  return IS_ALNUM[c] === true || c === 0x3a || c === 0x5f || c === 0x2f; // : _ /
}

function table(has: (character: string) => boolean): readonly boolean[] {
  return Array.from({ length: 128 }, (_, code) => has(String.fromCharCode(code)));
}

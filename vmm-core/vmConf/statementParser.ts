/**
 * The parser's state while it reads: tokens with one of look-ahead, the current statement, and recovery.
 */
import type { ConfigHost } from '../config/configHost.ts';
import type { Argument, Block } from '../config/directive.ts';
import { directive, type DirectiveId, directivesOf, directivesWith } from './directives.ts';
import type { IncludeBudget } from './includeBudget.ts';
import type { Lexer } from './lexer.ts';
import { nearest } from '../config/nearest.ts';
import type { Problem } from './problem.ts';
import type { ProblemCode } from '../config/problemCode.ts';
import { SourceFile } from './sourceFile.ts';
import type { Dialect, DirectiveNode, Statement, ValueNode } from './syntaxTree.ts';
import { isValue, type MacroDefinition, type Token } from './token.ts';

interface Environment {
  readonly lexer: Lexer;
  /** The lexer adds its own here as well. */
  readonly problems: Problem[];
  readonly macros: Map<string, MacroDefinition>;
  readonly files: SourceFile[];
  readonly includes: IncludeBudget;
  readonly host: ConfigHost;
  readonly dialect: Dialect;
}

/**
 * Words that occur only at top level: on a line of their own they end a block whose brace is missing.
 */
const TOP_WORDS = new Set(['vm', 'switch', 'include', 'socket', 'staggered', 'agentx']);

/** Unwinds to the innermost option or statement; the problem has been reported. */
class Unparsable extends Error {}

type Args = Record<string, ValueNode | undefined>;

export class StatementParser {
  isOver = false;
  readonly #env: Environment;
  readonly #tokens: Token[] = [];
  /** Made at the first include. */
  #filesByPath: Map<string, SourceFile> | undefined;
  #ahead: Token | undefined;
  #last: Token | undefined;
  /** The include in the root through which the current text was reached. */
  #outermost: readonly Token[] = [];

  constructor(environment: Environment) {
    this.#env = environment;
  }

  /** Reads one; the last one of a configuration may be nothing but comments. */
  statement(): Statement {
    const { lexer, problems } = this.#env;
    let node: DirectiveNode | undefined;
    while (this.#peek().kind === 'newline') this.#take();
    if (this.#peek().kind === 'end') this.isOver = true;
    else node = this.#topLevel();
    const ahead = this.#ahead;
    // What follows a look-ahead token may be pushed back; then reading starts again at the token itself.
    const isRestartable = ahead === undefined ? lexer.isClean : lexer.isClean && ahead.macro === undefined;
    const next = isRestartable ? (ahead?.start ?? lexer.offset) : -1;
    return {
      node,
      tokens: drain(this.#tokens),
      comments: drain(lexer.comments),
      macroUses: drain(lexer.macroUses),
      problems: drain(problems),
      next,
      reach: this.#reach(),
      findings: undefined,
    };
  }

  /**
   * Past the newline at its end, past the token that showed where it ends, or to the end of a file that may
   * grow.
   */
  #reach(): number {
    const token = this.#ahead ?? this.#last;
    if (token === undefined || token.kind === 'end' || token.end === token.start) return Infinity;
    return this.#ahead === undefined ? this.#env.lexer.offset : token.end + 1;
  }

  #topLevel(): DirectiveNode | undefined {
    let node: DirectiveNode | undefined;
    try {
      const token = this.#peek();
      if (token.kind === 'mark' && token.text === '\0' && this.#env.dialect === 'vmd') {
        this.isOver = true; // upstream treats a NUL byte between statements as the end
        return undefined;
      }
      node = isValue(token) ? this.#macro() : this.#directive('file');
      this.#endOfLine(node.id === 'vm' || node.id === 'switch' ? 'the }' : 'this');
      if (node.id === 'include') this.#include(node);
      return node;
    } catch (error) {
      if (!(error instanceof Unparsable)) throw error;
      this.#skipStatement();
      return node;
    }
  }

  /** STR "=" STR. */
  #macro(): DirectiveNode {
    const name = this.#take();
    const equals = this.#peek();
    if (equals.kind !== 'mark' || equals.text !== '=') this.#unknownWord(name, 'file');
    this.#take();
    const value = this.#value('word', 'value', name);
    if (/^.+\s/s.test(name.text)) this.#report('macro-name', 'a macro name must not contain blanks', [name]);
    else this.#define(name, value.text);
    const args = { name: { text: name.text, isNumber: false, tokens: [name] }, value };
    return this.#node('macro', NOTHING, args, NOTHING, name);
  }

  #define(token: Token, value: string): void {
    const { macros } = this.#env;
    if (macros.get(token.text)?.isFixed === true) return;
    macros.set(token.text, { name: token.text, value, token, isFixed: false });
  }

  #include(node: DirectiveNode): void {
    const { host, lexer, includes } = this.#env;
    const value = node.args['file'];
    if (value === undefined || includes.isSpent) return; // already reported
    if (lexer.depth === 1) this.#outermost = value.tokens;
    const path = host.resolve(value.text, node.first.file.path);
    // vmd has no such check: it continues until it cannot open more files, and then refuses.
    if (lexer.isOpen(path)) return this.#report('include', `"${value.text}" includes itself`, value.tokens);
    const file = this.#fileAt(path);
    const excess = includes.refusal(file?.text.length ?? 0, lexer.depth);
    if (excess !== undefined) {
      // Where a user sees it: an editor shows the root, and the include is one of thousands.
      return this.#report('include', `this includes ${excess}: the rest is left out`, this.#outermost);
    }
    if (file !== undefined) return lexer.include(file);
    const reason = host.whyUnreadable?.(path);
    const why = reason === undefined ? '' : `: ${reason}`;
    this.#report('include', `cannot read "${value.text}"${why}`, value.tokens);
  }

  #fileAt(path: string): SourceFile | undefined {
    const { host, files } = this.#env;
    this.#filesByPath ??= new Map(files.map((it) => [it.path, it]));
    const known = this.#filesByPath.get(path);
    if (known !== undefined) return known;
    const text = host.readText(path);
    if (text === undefined) return undefined;
    const file = new SourceFile(path, text);
    files.push(file);
    this.#filesByPath.set(path, file);
    return file;
  }

  // Directives.

  #directive(block: Block): DirectiveNode {
    const first = this.#peek();
    if (first.kind === 'error') this.#fail();
    if (first.kind !== 'keyword' && first.kind !== 'word') this.#unexpected(expected(block));
    const candidates = directivesWith(block, first.text);
    if (candidates.length === 0) this.#unknownWord(first, block);
    this.#take();
    if (block === 'file' && isMark(this.#peek(), '=')) this.#unknownWord(first, block);
    const id = this.#longest(candidates, first);
    const second = this.#last;
    const words = second === undefined || second === first ? [first] : [first, second];
    const { isExtension, args, opens } = directive(id);
    if (isExtension && this.#env.dialect === 'vmd') {
      const what = directive(id).words.join(' ');
      this.#report('extension', `"${what}" is an extension that OpenBSD's vmd does not know`, words);
    }
    const values = args === undefined ? NO_ARGS : this.#arguments(args, id);
    if (opens === undefined) return this.#node(id, words, values, NOTHING, first);
    return this.#opened(id, opens, words, values);
  }

  /** `boot` or `boot device`: takes the word that decides. */
  #longest(candidates: readonly DirectiveId[], first: Token): DirectiveId {
    for (const id of candidates) {
      const second = directive(id).words[1];
      if (second === undefined) return id;
      if (isWord(this.#peek(), second)) {
        this.#take();
        return id;
      }
    }
    const seconds = candidates.map((id) => `"${directive(id).words[1] ?? ''}"`).join(' or ');
    return this.#unexpected(`${seconds} after "${first.text}"`);
  }

  #arguments(specs: readonly Argument[], id: DirectiveId): Args {
    if (specs.length === 0) return NO_ARGS;
    const values: Args = {};
    for (const spec of specs) {
      if (spec.after !== undefined) {
        if (isWord(this.#peek(), spec.after)) this.#take();
        else if (spec.isOptional === true) continue;
        else this.#unexpected(`"${spec.after}"`);
      } else if (spec.isOptional === true && !this.#isArgument(spec)) continue;
      values[spec.name] = this.#value(spec.kind, spec.name, id);
    }
    return values;
  }

  #isArgument({ kind }: Argument): boolean {
    const token = this.#peek();
    return typeof kind === 'string' ? isValue(token) : kind.some((it) => isWord(token, it));
  }

  /** `name` and `owner`, a directive or a macro, are for messages. */
  #value(kind: Argument['kind'], name: string, owner: DirectiveId | Token): ValueNode {
    const token = this.#peek();
    if (typeof kind !== 'string') {
      if (!kind.some((it) => isWord(token, it))) this.#unexpected(oneOf(kind));
      return { text: token.text, isNumber: false, tokens: [this.#take()] };
    }
    if (token.kind === 'number' && (kind === 'number' || kind === 'size' || kind === 'owner')) {
      return { text: token.text, isNumber: true, tokens: [this.#take()] };
    }
    if (kind === 'number') this.#unexpected(`a number for ${inWords(name, owner)}`);
    if (!isValue(token)) this.#noValue(inWords(name, owner));
    const tokens = [this.#take()];
    if (kind !== 'string' || !isValue(this.#peek())) return { text: token.text, isNumber: false, tokens };
    while (isValue(this.#peek())) tokens.push(this.#take());
    return { text: tokens.map((it) => it.text).join(''), isNumber: false, tokens: exact(tokens) };
  }

  /** What follows a directive that opens a block. */
  #opened(id: DirectiveId, opens: Block, words: readonly Token[], values: Args): DirectiveNode {
    const [first] = words as [Token];
    switch (opens) {
      case 'vm':
      case 'switch':
        return this.#block(id, opens, words, values);
      case 'agentx':
        return this.#node(id, words, values, this.#list(opens, false), first);
      case 'interface':
        if (!isMark(this.#peek(), '{')) return this.#node(id, words, values, this.#list(opens, true), first);
        return this.#block(id, opens, words, values);
      case 'network':
      case 'disk':
        if (!isMark(this.#peek(), '{')) return this.#node(id, words, values, [], first);
        return this.#block(id, opens, words, values);
      case 'allow':
      case 'debug':
        if (!isMark(this.#peek(), '{')) return this.#node(id, words, values, [this.#directive(opens)], first);
        return this.#block(id, opens, words, values);
      case 'file':
        throw new Error('nothing opens a file');
    }
  }

  /** Items on the same line; for an interface, commas may follow all but the first. */
  #list(block: Block, hasCommas: boolean): DirectiveNode[] {
    const items: DirectiveNode[] = [];
    while (this.#startsItem(block)) {
      items.push(this.#directive(block));
      if (!hasCommas || !isMark(this.#peek(), ',')) continue;
      if (items.length === 1)
        this.#report('comma', 'no comma may follow the first option of an interface', [this.#peek()]);
      this.#take();
    }
    return items;
  }

  #startsItem(block: Block): boolean {
    const token = this.#peek();
    return token.kind === 'keyword' && directivesWith(block, token.text).length > 0;
  }

  #block(id: DirectiveId, block: Block, words: readonly Token[], args: Args): DirectiveNode {
    const [first] = words as [Token];
    const header = this.#last ?? first;
    const open = this.#openBrace(header, first);
    this.#skipNewlines();
    const items: DirectiveNode[] = [];
    if (isMark(this.#peek(), '}')) {
      const what = block === 'vm' || block === 'switch' ? `"${block}" ` : '';
      this.#report('empty-block', `the ${what}block is empty: give it at least one option`, [
        open,
        this.#peek(),
      ]);
    }
    let isFirst = true;
    while (!isMark(this.#peek(), '}')) {
      if (this.#endsBlock(block)) {
        this.#report('missing-brace', `the } that closes this { is missing`, [open]);
        return this.#node(id, words, args, items, first, open);
      }
      const item = this.#item(block);
      if (item !== undefined) items.push(item);
      this.#separator(block, isFirst, item !== undefined);
      isFirst = false;
    }
    const close = this.#take();
    return this.#node(id, words, args, items, first, open, close);
  }

  #item(block: Block): DirectiveNode | undefined {
    try {
      return this.#directive(block);
    } catch (error) {
      if (!(error instanceof Unparsable)) throw error;
      this.#skipOption();
      return undefined;
    }
  }

  #separator(block: Block, isFirst: boolean, isParsed: boolean): void {
    const token = this.#peek();
    if (token.kind === 'error') {
      this.#take();
      this.#skipOption();
      this.#skipNewlines();
    } else if (block === 'allow') {
      if (isMark(token, ',')) {
        this.#take();
        this.#skipNewlines();
        if (isMark(this.#peek(), '}'))
          this.#report('comma', 'a comma must not be last in a list: remove it', [token]);
      } else if (token.kind === 'newline') this.#skipNewlines();
      else if (isParsed && !isMark(token, '}'))
        this.#report('comma', 'a comma or a newline is needed before this', [token]);
    } else if (isMark(token, ',')) {
      this.#report('comma', 'commas are not allowed in this block', [token]);
      this.#take();
      this.#skipNewlines();
    } else if (token.kind === 'newline') this.#skipNewlines();
    else if ((block === 'vm' || block === 'switch') && !isFirst && isParsed && !this.#endsBlock(block)) {
      this.#report(
        'newline-needed',
        'every option but the first must end with its line: put this on the next one',
        [token],
      );
    }
  }

  #openBrace(header: Token, first: Token): Token {
    if (isMark(this.#peek(), '{')) return this.#take();
    if (this.#peek().kind === 'newline') {
      const newline = this.#peek();
      this.#skipNewlines();
      if (isMark(this.#peek(), '{')) {
        const message = `the { must be on the same line as "${first.text}"`;
        this.#report('brace-on-next-line', message, [newline, this.#peek()]);
        return this.#take();
      }
      this.#report('missing-open-brace', `a { is missing at the end of this line`, [header, newline]);
      throw new Unparsable();
    }
    return this.#unexpected('{');
  }

  /** At the end, or at a line that can only be the next statement. */
  #endsBlock(block: Block): boolean {
    const token = this.#peek();
    if (token.kind === 'end') return true;
    if (this.#last?.kind !== 'newline' || token.kind !== 'keyword' || !TOP_WORDS.has(token.text))
      return false;
    return directivesWith(block, token.text).length === 0;
  }

  #endOfLine(what: string): void {
    const token = this.#peek();
    if (token.kind === 'newline') this.#take();
    else if (token.kind !== 'end') {
      const wasBlock = this.#last?.text === '}';
      if (token.kind === 'error') this.#fail();
      if (this.#last?.kind === 'newline') return; // a block without its } ended before this line
      const hint = wasBlock
        ? `a newline must follow ${what}`
        : `${describe(token)} is one too many on this line`;
      this.#report(wasBlock ? 'newline-needed' : 'syntax', hint, [token]);
      throw new Unparsable();
    }
  }

  // Recovery.

  /** To the end of the line, or of the block that begins on it. */
  #skipStatement(): void {
    let depth = 0;
    for (;;) {
      const token = this.#peek();
      if (token.kind === 'end') return;
      const isAtLineStart = this.#last?.kind === 'newline';
      if (
        isAtLineStart &&
        token.kind === 'keyword' &&
        (token.text === 'vm' || token.text === 'include') &&
        depth > 0
      )
        return;
      this.#take();
      if (isMark(token, '{')) depth++;
      else if (isMark(token, '}')) depth = Math.max(0, depth - 1);
      else if (token.kind === 'newline' && depth === 0) return;
    }
  }

  /** To before the end of the line, or before the } of the block around it. */
  #skipOption(): void {
    let depth = 0;
    for (;;) {
      const token = this.#peek();
      if (token.kind === 'end') return;
      if (depth === 0 && (token.kind === 'newline' || isMark(token, '}'))) return;
      if (depth > 0 && this.#last?.kind === 'newline' && isWord(token, 'vm')) return;
      this.#take();
      if (isMark(token, '{')) depth++;
      else if (isMark(token, '}')) depth--;
    }
  }

  #skipNewlines(): void {
    while (this.#peek().kind === 'newline') this.#take();
  }

  // Errors.

  /** At a token that the lexer already reported. */
  #fail(): never {
    this.#take();
    throw new Unparsable();
  }

  #unexpected(wanted: string): never {
    const token = this.#peek();
    if (token.kind === 'error') this.#fail();
    this.#report('syntax', `expected ${wanted}, not ${describe(token)}`, [token]);
    throw new Unparsable();
  }

  #noValue(what: string): never {
    const token = this.#peek();
    if (token.kind === 'error') this.#fail();
    if (token.kind === 'keyword') {
      this.#report('quotes-needed', `"${token.text}" is a reserved word: quote it to use it as ${what}`, [
        token,
      ]);
    } else if (token.kind === 'number') {
      this.#report('quotes-needed', `${token.text} is a number: quote it to use it as ${what}`, [token]);
    } else if (token.kind === 'mark' && /[.*~@%+;?<>|^&[\]\\`$-]/.test(token.text)) {
      this.#report('quotes-needed', `a value that begins with ${token.text} must be quoted`, [token]);
    } else this.#unexpected(what);
    throw new Unparsable();
  }

  #unknownWord(token: Token, block: Block): never {
    if (token.kind === 'keyword' && this.#peek() === token) this.#take();
    if (token.kind === 'keyword' && block === 'file' && isMark(this.#peek(), '=')) {
      this.#report('macro-name', `"${token.text}" is a reserved word and cannot name a macro`, [token]);
    } else if (token.kind === 'string')
      this.#report('syntax', `expected ${expected(block)}, not a string`, [token]);
    else {
      const words = directivesOf(block).map((id) => directive(id).words[0] ?? '');
      const near = nearest(token.text, words);
      const hint = near === undefined ? '' : `; did you mean "${near}"?`;
      const message = `"${token.text}" is not allowed here: expected ${expected(block)}${hint}`;
      this.#report('unknown-word', message, [token], near);
    }
    throw new Unparsable();
  }

  /** From the first of these tokens to the last. */
  #report(code: ProblemCode, message: string, tokens: readonly Token[], subject?: string): void {
    const [first] = tokens;
    const last = tokens.at(-1);
    if (first === undefined || last === undefined) throw new Error('a problem without a place');
    const { file, start } = first;
    const end = last.file === file ? Math.max(last.end, start) : first.end;
    const extra = subject === undefined ? {} : { subject };
    this.#env.problems.push({ severity: 'error', code, message, file, start, end, ...extra });
  }

  // Tokens.

  #peek(): Token {
    return (this.#ahead ??= this.#env.lexer.next());
  }

  #take(): Token {
    const token = this.#peek();
    this.#ahead = undefined;
    this.#tokens.push(token);
    this.#last = token;
    return token;
  }

  #node(
    id: DirectiveId,
    words: readonly Token[],
    args: Args,
    list: readonly DirectiveNode[],
    first: Token,
    open?: Token,
    close?: Token,
  ): DirectiveNode {
    // Hot, and there are many: one shape for each combination, without spreading.
    const last = this.#last ?? first;
    const items = exact(list);
    if (open === undefined) return { id, words, args, items, first, last };
    if (close === undefined) return { id, words, args, items, first, last, open };
    return { id, words, args, items, first, last, open, close };
  }
}

const NOTHING: never[] = [];
const NO_ARGS: Args = {};

/** Without the spare room of a list that has grown. */
function exact<T>(list: readonly T[]): readonly T[] {
  return list.length === 0 ? NOTHING : list.slice();
}

/** The list's contents; the list is empty afterwards. */
function drain<T>(list: T[]): readonly T[] {
  return list.length === 0 ? NOTHING : list.splice(0);
}

function isWord(token: Token, text: string): boolean {
  return token.text === text && (token.kind === 'word' || token.kind === 'keyword');
}

function isMark(token: Token, text: string): boolean {
  return token.kind === 'mark' && token.text === text;
}

function inWords(name: string, owner: DirectiveId | Token): string {
  const whose = typeof owner === 'string' ? `"${directive(owner).words.join(' ')}"` : `macro "${owner.text}"`;
  return `the ${name} of ${whose}`;
}

function oneOf(words: readonly string[]): string {
  const quoted = words.map((it) => `"${it}"`);
  return quoted.length === 1
    ? (quoted[0] ?? '')
    : `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1) ?? ''}`;
}

function expected(block: Block): string {
  const names: Readonly<Record<Block, string>> = {
    file: '"vm", "switch", "include", a global setting or a macro',
    agentx: '"context" or "path"',
    switch: 'an option of a switch',
    vm: 'an option of a VM',
    interface: 'an option of an interface',
    allow: 'a setting that instances may choose',
    network: '"forward"',
    debug: 'a debug setting',
    disk: 'an option of a disk',
  };
  return names[block];
}

function describe(token: Token): string {
  switch (token.kind) {
    case 'newline':
      return 'the end of the line';
    case 'end':
      return 'the end of the file';
    case 'string':
      return 'a string';
    case 'error':
      return 'this';
    case 'mark':
      return `"${printable(token.text)}"`;
    case 'word':
    case 'number':
    case 'keyword':
      return `"${token.text}"`;
  }
}

function printable(character: string): string {
  const code = character.charCodeAt(0);
  return code > 0x20 && code !== 0x7f ? character : `\\x${code.toString(16).padStart(2, '0')}`;
}

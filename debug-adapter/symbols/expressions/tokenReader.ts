/** The tokens of an expression in order, and the names that several of them make up. */
import { QueryError } from '../base/queryError.ts';
import type { Language } from '../values/literals.ts';
import { type Token, tokenize } from './lexer.ts';

/**
 * What a parser has to know about the surrounding code: its language, whether `(name)` begins a cast, and
 * `name<` template arguments.
 */
export interface KnownNames {
  /** Whose literal syntax applies; C's by default. */
  readonly language?: Language;
  /** See NumberSyntax. */
  readonly underscores?: boolean;
  isType(name: string): boolean;
  /** A type, function or variable with exactly these template arguments, however they are spaced. */
  isTemplate(name: string): boolean;
  /** A symbol with dots in its name, as compilers make them: `name.cold`, `calls.0`. */
  readonly isDotted?: (name: string) => boolean;
}

/** `name.constprop.0.cold` has four. */
const MAX_PARTS = 8;
/** Anything longer than this is not template arguments. */
const MAX_TEMPLATE_TOKENS = 200;

export class TokenReader {
  readonly names: KnownNames;
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(text: string, names: KnownNames) {
    this.#text = text;
    this.#tokens = tokenize(text, { language: names.language ?? 'c', underscores: names.underscores });
    this.names = names;
  }

  get peek(): Token {
    return this.peekAt(0);
  }

  peekAt(distance: number): Token {
    return this.#tokens[Math.min(this.#at + distance, this.#tokens.length - 1)] as Token;
  }

  next(): Token {
    const token = this.peek;
    this.#at++;
    return token;
  }

  take(symbol: string): boolean {
    const matches = this.peek.kind === 'symbol' && this.peek.text === symbol;
    if (matches) this.#at++;
    return matches;
  }

  takeWord(word: string): boolean {
    const matches = this.peek.kind === 'name' && this.peek.text === word;
    if (matches) this.#at++;
    return matches;
  }

  expect(symbol: string): void {
    if (!this.take(symbol)) throw this.unexpected(symbol);
  }

  expectEnd(): void {
    if (this.peek.kind !== 'end') throw this.unexpected();
  }

  /** What `read` makes of the tokens from here, without passing them; undefined when it finds a mistake. */
  tryOut<T>(read: () => T): T | undefined {
    const before = this.#at;
    try {
      return read();
    } catch (error) {
      if (error instanceof QueryError) return undefined;
      throw error;
    } finally {
      this.#at = before;
    }
  }

  /** `a::Box<int, 3>::size`, `Shape::~Shape`, `X::operator+` */
  qualifiedName(): string {
    let name = this.#dottedName(this.plainName());
    for (;;) {
      if (this.peek.text === '<') name = this.#withArguments(name) ?? name;
      const after = this.peekAt(1);
      const goesOn = after.kind === 'name' || (after.text === '~' && this.peekAt(2).kind === 'name');
      if (this.peek.text !== '::' || !goesOn) return name;
      this.#at++;
      name += `::${this.take('~') ? '~' : ''}${this.plainName()}`;
    }
  }

  /** A name without scope; C++'s operators are names too. */
  plainName(): string {
    const token = this.next();
    if (token.kind !== 'name') {
      this.#at--;
      throw this.unexpected('a name');
    }
    return token.text === 'operator' ? `operator${this.#operatorName()}` : token.text;
  }

  /** `Class::` before the star of a pointer to member. */
  memberPointerOwner(): string | undefined {
    if (this.peek.kind !== 'name' || this.peekAt(1).text !== '::') return undefined;
    const before = this.#at;
    const name = this.#tryOutAndStay(() => this.qualifiedName());
    if (name !== undefined && this.take('::') && this.take('*')) return name;
    this.#at = before;
    return undefined;
  }

  unexpected(wanted?: string): QueryError {
    const { kind, text, column } = this.peek;
    const found = kind === 'end' ? 'the expression ends' : `unexpected ${text}`;
    return new QueryError(wanted === undefined ? found : `${found}, ${wanted} is missing`, column);
  }

  nestedTooDeeply(levels: number): QueryError {
    return new QueryError(`expression too deeply nested: ${levels} levels`, this.peek.column);
  }

  #tryOutAndStay<T>(read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (error instanceof QueryError) return undefined;
      throw error;
    }
  }

  #operatorName(): string {
    const { kind, text } = this.peek;
    if (kind === 'name') {
      this.#at++;
      return ` ${text}`; // `operator bool`, `operator new`
    }
    if (kind !== 'symbol') return '';
    if (this.take('(')) return this.take(')') ? '()' : '(';
    if (this.take('[')) return this.take(']') ? '[]' : '[';
    this.#at++;
    return text;
  }

  /** The longest symbol that begins with the name. */
  #dottedName(name: string): string {
    const { isDotted } = this.names;
    if (isDotted === undefined) return name;
    const parts = [name];
    while (parts.length < MAX_PARTS) {
      const ahead = 2 * (parts.length - 1);
      const { kind, text } = this.peekAt(ahead + 1);
      if (this.peekAt(ahead).text !== '.' || kind !== 'name') break;
      parts.push(text);
    }
    while (parts.length > 1 && !isDotted(parts.join('.'))) parts.pop();
    this.#at += 2 * (parts.length - 1);
    return parts.join('.');
  }

  /**
   * The name with the template arguments that follow, if there is such a name: otherwise `<` is a comparison.
   */
  #withArguments(name: string): string | undefined {
    let depth = 0;
    for (let ahead = 0; ahead < MAX_TEMPLATE_TOKENS; ahead++) {
      const { kind, text, column } = this.peekAt(ahead);
      if (kind === 'end') return undefined;
      if (kind !== 'symbol') continue;
      if (text === '<' || text === '(' || text === '[') depth++;
      else if (text === ')' || text === ']') depth--;
      else if (text === '>' || text === '>>') depth -= text.length;
      if (depth < 0) return undefined;
      if (depth > 0 || (text !== '>' && text !== '>>')) continue;
      const start = this.peek.column - 1;
      const whole = name + this.#text.slice(start, column - 1 + text.length);
      if (!this.names.isTemplate(whole)) return undefined;
      this.#at += ahead + 1;
      return whole;
    }
    return undefined;
  }
}

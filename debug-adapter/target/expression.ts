/**
 * The small expressions of the debug console and of value fields: numbers, registers (`$rax`, `rip`), symbols, `+ - ( )`,
 * memory (`*expr`, `*(u32*)expr`). Pure: where values come from is the environment's business.
 */
import { USER_ERROR, UserError } from '../errors.ts';
import { type Language, leadingNumber } from '../symbols/values/literals.ts';
import { QueryError } from '../symbols/base/queryError.ts';

export interface ExpressionEnvironment {
  /** Of the code at hand: `017` is 15 in C and 17 in Rust. */
  readonly language: Language;
  /** Size of a pointer on the vCPU as it executes now; `*expr` reads that much. */
  readonly wordBytes: number;
  /** `undefined` when there is no register of that name. */
  register(name: string): bigint | undefined;
  /** Address of a symbol, `undefined` when there is none of that name. */
  symbol(name: string): bigint | undefined;
  /** Little-endian read. Throws when the memory cannot be read. */
  read(address: bigint, lengthBytes: number): Promise<bigint>;
}

export interface ExpressionValue {
  readonly value: bigint;
  /** Set when the value was read from memory. */
  readonly address?: bigint;
  /** Size of the value read, or of what a cast pointer points to. */
  readonly lengthBytes?: number;
  /** What numbers alone come to, where that is below zero: `-1` is not 18446744073709551615. */
  readonly signed?: bigint;
  /** The expression is a bare register or symbol: how results name themselves. */
  readonly kind: 'number' | 'register' | 'symbol' | 'memory';
}

const TOKEN = /\s*(?:(\d\w*(?:\.\d*)?)|(\$?[A-Za-z_.][\w.$@]*)|([-+*&()]))/y;
const CASTS: Readonly<Record<string, number>> = {
  u8: 1,
  u16: 2,
  u32: 4,
  u64: 8,
  char: 1,
  short: 2,
  int: 4,
  long: 8,
};
const MAX_DEPTH = 256;
const MAX_CHARACTERS = 100_000;
/** Of an expression in a message about it. */
const MAX_QUOTED = 200;

interface Token {
  readonly kind: 'number' | 'name' | 'operator';
  readonly text: string;
}

/** Throws UserError: what is wrong in the text, or what cannot be read. */
export async function evaluateExpression(text: string, env: ExpressionEnvironment): Promise<ExpressionValue> {
  const parser = new Parser(tokenize(text), env, text);
  const value = await parser.sum(0);
  parser.expectEnd();
  return {
    ...value,
    value: BigInt.asUintN(64, value.value),
    ...(parser.numbersOnly && value.value < 0n && { signed: value.value }),
  };
}

function tokenize(text: string): Token[] {
  if (text.length > MAX_CHARACTERS)
    throw syntaxError(text, `expression too long: ${text.length} characters, at most ${MAX_CHARACTERS}`);
  const tokens: Token[] = [];
  const end = text.trimEnd().length;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < end) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (match === null) throw syntaxError(text, `unexpected ${text.slice(at).trim()[0]}`);
    const [, number, name, operator] = match;
    if (number !== undefined) tokens.push({ kind: 'number', text: number.replaceAll('_', '') });
    else if (name !== undefined) tokens.push({ kind: 'name', text: name });
    else tokens.push({ kind: 'operator', text: operator ?? '' });
  }
  return tokens;
}

class Parser {
  readonly #tokens: readonly Token[];
  readonly #env: ExpressionEnvironment;
  readonly #text: string;
  #next = 0;
  /** No register, symbol or memory is in it, so that a value below zero is no address. */
  readonly numbersOnly: boolean;

  constructor(tokens: readonly Token[], env: ExpressionEnvironment, text: string) {
    this.#tokens = tokens;
    this.#env = env;
    this.#text = text;
    this.numbersOnly = tokens.every(({ kind, text: it }) => kind !== 'name' && it !== '*' && it !== '&');
  }

  expectEnd(): void {
    const token = this.#tokens[this.#next];
    if (token !== undefined) throw syntaxError(this.#text, `unexpected ${token.text}`);
  }

  async sum(depth: number): Promise<ExpressionValue> {
    let left = await this.#unary(depth);
    for (;;) {
      const minus = this.#peekIs('-');
      if (!minus && !this.#peekIs('+')) return left;
      this.#next += 1;
      const right = await this.#unary(depth);
      const value = minus ? left.value - right.value : left.value + right.value;
      left = { kind: 'number', value: this.numbersOnly ? value : BigInt.asUintN(64, value) };
    }
  }

  async #unary(depth: number): Promise<ExpressionValue> {
    if (depth > MAX_DEPTH) throw syntaxError(this.#text, `expression too deeply nested: ${MAX_DEPTH} levels`);
    if (this.#take('-')) return { kind: 'number', value: -(await this.#unary(depth + 1)).value };
    if (this.#take('&')) {
      const operand = await this.#unary(depth + 1);
      return { kind: 'number', value: operand.address ?? operand.value };
    }
    if (this.#take('*')) {
      const pointer = await this.#unary(depth + 1);
      const address = BigInt.asUintN(64, pointer.value);
      const lengthBytes =
        pointer.kind === 'number' ? (pointer.lengthBytes ?? this.#env.wordBytes) : this.#env.wordBytes;
      return { kind: 'memory', value: await this.#env.read(address, lengthBytes), address, lengthBytes };
    }
    const castBytes = this.#takeCast();
    if (castBytes !== undefined) {
      const { value } = await this.#unary(depth + 1);
      return { kind: 'number', value, lengthBytes: castBytes };
    }
    return this.#primary(depth);
  }

  async #primary(depth: number): Promise<ExpressionValue> {
    const token = this.#tokens[this.#next];
    if (token === undefined) throw syntaxError(this.#text, 'the expression ends, a value is missing');
    this.#next += 1;
    if (token.kind === 'number') return { kind: 'number', value: this.#number(token.text) };
    if (token.kind === 'name') return this.#name(token.text);
    if (token.text === '(') {
      const inner = await this.sum(depth + 1);
      if (!this.#take(')')) throw syntaxError(this.#text, 'the expression ends, ) is missing');
      return inner;
    }
    throw syntaxError(this.#text, `unexpected ${token.text}`);
  }

  /** Addresses are long: underscores may part their digits in every language. */
  #number(text: string): bigint {
    try {
      const number = leadingNumber(text.replaceAll('_', ''), this.#env.language);
      if (number?.kind === 'integer' && number.value >= 1n << 64n)
        throw syntaxError(this.#text, `${text} does not fit in 64 bits`);
      if (number?.kind === 'integer') return number.value;
    } catch (error) {
      if (error instanceof QueryError) throw syntaxError(this.#text, error.message);
      throw error;
    }
    throw syntaxError(this.#text, `${text} is no integer`);
  }

  /** The program's names before those of registers: `$ch` is always the register. */
  #name(text: string): ExpressionValue {
    const explicit = text.startsWith('$');
    const symbol = explicit ? undefined : this.#env.symbol(text);
    if (symbol !== undefined) return { kind: 'symbol', value: symbol };
    const register = this.#env.register((explicit ? text.slice(1) : text).toLowerCase());
    if (register !== undefined) return { kind: 'register', value: register };
    throw new UserError(
      USER_ERROR.expression,
      explicit ? `no register ${text}` : `no register or symbol "${text}"`,
    );
  }

  #takeCast(): number | undefined {
    const [open, type, star, close] = this.#tokens.slice(this.#next, this.#next + 4);
    if (open?.text !== '(' || type?.kind !== 'name' || star?.text !== '*' || close?.text !== ')')
      return undefined;
    const lengthBytes = Object.hasOwn(CASTS, type.text) ? CASTS[type.text] : undefined;
    if (lengthBytes === undefined) {
      throw syntaxError(this.#text, `no type named ${type.text}`);
    }
    this.#next += 4;
    return lengthBytes;
  }

  #peekIs(operator: string): boolean {
    const token = this.#tokens[this.#next];
    return token?.kind === 'operator' && token.text === operator;
  }

  #take(operator: string): boolean {
    const found = this.#peekIs(operator);
    if (found) this.#next += 1;
    return found;
  }
}

function syntaxError(text: string, what: string): UserError {
  const quoted = text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}…` : text;
  return new UserError(USER_ERROR.expression, `cannot evaluate "${quoted}": ${what}`);
}

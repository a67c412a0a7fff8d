/** Tokens of the expression language: C's, with `$register` and `file.c::name`. */
import { QueryError } from './queryError.ts';
import { parseInteger } from './scalarText.ts';

export type Token =
  | { readonly kind: 'integer'; readonly value: bigint; readonly text: string; readonly column: number }
  | { readonly kind: 'float'; readonly value: number; readonly text: string; readonly column: number }
  | { readonly kind: 'name'; readonly text: string; readonly column: number }
  | { readonly kind: 'register'; readonly text: string; readonly column: number }
  /** A quoted file name before `::`. */
  | { readonly kind: 'file'; readonly text: string; readonly column: number }
  | { readonly kind: 'symbol'; readonly text: string; readonly column: number }
  | { readonly kind: 'end'; readonly text: ''; readonly column: number };

/** Longest first, so that `>>` is not two `>`. */
const SYMBOLS = [
  ...[
    '<<=',
    '>>=',
    '->',
    '::',
    '<<',
    '>>',
    '<=',
    '>=',
    '==',
    '!=',
    '&&',
    '||',
    '+=',
    '-=',
    '*=',
    '/=',
    '%=',
    '&=',
    '|=',
    '^=',
  ],
  ...[
    '+',
    '-',
    '*',
    '/',
    '%',
    '&',
    '|',
    '^',
    '~',
    '!',
    '<',
    '>',
    '=',
    '?',
    ':',
    '.',
    ',',
    '(',
    ')',
    '[',
    ']',
    '{',
    '}',
  ],
];

const FLOAT = /^(?:\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)[fFlL]?/;
const INTEGER = /^(?:0[xX][0-9a-fA-F']+|0[bB][01']+|\d[\d']*)[uUlL]*/;
const CHARACTER = /^'(?:\\(?:x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)|[^\\'])'/su;
const NAME = /^[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*/;
/** `main.c` or `fs/read_write.c` right before `::`. */
const PLAIN_FILE = /^[\w./+-]*[\w+-]\.\w+(?=::)/;

export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const space = /^\s+/.exec(text.slice(at));
    if (space !== null) {
      at += space[0].length;
      continue;
    }
    const token = nextToken(text.slice(at), at + 1);
    tokens.push(token.token);
    at += token.length;
  }
  tokens.push({ kind: 'end', text: '', column: text.length + 1 });
  return tokens;
}

function nextToken(rest: string, column: number): { token: Token; length: number } {
  const file = PLAIN_FILE.exec(rest) ?? /^'([^']+\.\w+)'(?=::)/.exec(rest) ?? /^"([^"]+)"(?=::)/.exec(rest);
  if (file !== null)
    return { token: { kind: 'file', text: file[1] ?? file[0], column }, length: file[0].length };
  const float = FLOAT.exec(rest);
  if (float !== null) {
    const value = Number.parseFloat(float[0]);
    return { token: { kind: 'float', value, text: float[0], column }, length: float[0].length };
  }
  const number = INTEGER.exec(rest) ?? CHARACTER.exec(rest);
  if (number !== null) {
    const value = parseInteger(number[0]);
    if (value === undefined) throw new QueryError(`not a number: ${number[0]}`, column);
    return { token: { kind: 'integer', value, text: number[0], column }, length: number[0].length };
  }
  const name = NAME.exec(rest);
  if (name !== null) return { token: { kind: 'name', text: name[0], column }, length: name[0].length };
  const register = /^\$(\w+)/.exec(rest);
  if (register?.[1] !== undefined) {
    return {
      token: { kind: 'register', text: register[1].toLowerCase(), column },
      length: register[0].length,
    };
  }
  const symbol = SYMBOLS.find((candidate) => rest.startsWith(candidate));
  if (symbol === undefined) throw new QueryError(`unexpected character: ${rest[0] ?? ''}`, column);
  return { token: { kind: 'symbol', text: symbol, column }, length: symbol.length };
}

/** Tokens of the expression language: C's, C++'s and Rust's literals, with `$register` and `file.c::name`. */
import { QueryError } from './queryError.ts';
import { parseInteger, unescaped } from './scalarText.ts';

export type Token =
  | { readonly kind: 'integer'; readonly value: bigint; readonly text: string; readonly column: number }
  | { readonly kind: 'float'; readonly value: number; readonly text: string; readonly column: number }
  | { readonly kind: 'string'; readonly value: string; readonly text: string; readonly column: number }
  | { readonly kind: 'name'; readonly text: string; readonly column: number }
  | { readonly kind: 'register'; readonly text: string; readonly column: number }
  /** A file name before `::`. */
  | { readonly kind: 'file'; readonly text: string; readonly column: number }
  | { readonly kind: 'symbol'; readonly text: string; readonly column: number }
  | { readonly kind: 'end'; readonly text: ''; readonly column: number };

/** Longest first, so that `>>` is not two `>`. */
const SYMBOLS = [
  ...['<<=', '>>=', '->*'],
  ...['->', '.*', '::', '<<', '>>', '<=', '>=', '==', '!=', '&&', '||', '++', '--'],
  ...['+=', '-=', '*=', '/=', '%=', '&=', '|=', '^='],
  ...['+', '-', '*', '/', '%', '&', '|', '^', '~', '!', '<', '>', '=', '?', ':', '.', ',', '@'],
  ...['(', ')', '[', ']', '{', '}', ';'],
];

const FLOAT =
  /^(?:\d[\d_]*\.(?!\.)[\d_]*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)(?:_?f(?:32|64)|[fFlL])?/;
const RUST_FLOAT = /^\d[\d_]*f(?:32|64)\b/;
const INTEGER =
  /^(?:0[xX][0-9a-fA-F'_]+?|0[bB][01'_]+|0o[0-7_]+|\d[\d'_]*?)(?:_?[ui](?:8|16|32|64|128|size)|[uUlL]{0,3})(?![\w'])/;
const CHARACTER =
  /^(?:[bLuU]|u8)?'(?:\\(?:x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{4}|u\{[0-9a-fA-F]{1,6}\}|[0-7]{1,3}|.)|[^\\'])'/su;
const STRING = /^(?:[bLuU]|u8)?"((?:\\.|[^"\\])*)"/su;
/** gcc's and clang's names of the pointer to a class's virtual functions are no identifiers. */
const NAME = /^(?:_vptr[.$][\w:]+|[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)/;
/** `main.c` or `fs/read_write.c` right before `::`, in quotes (as gdb has it) or without. */
const FILE =
  /^(?:[\w./+-]*[\w+-]\.(?:c|h|cc|cpp|cxx|c\+\+|hh|hpp|hxx|inc|ipp|rs|s|S|m|mm|zig|d)(?=::)|'([^']+\.\w+)'(?=::)|"([^"]+)"(?=::))/;
/** The name compilers give what has none; units list its members without it. */
const ANONYMOUS = /^\(anonymous namespace\)\s*::/;

/** Throws QueryError with the column of what is no token. */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  for (;;) {
    at += /^\s*/.exec(text.slice(at))?.[0].length ?? 0;
    if (at >= text.length) break;
    const rest = text.slice(at);
    const skipped = ANONYMOUS.exec(rest);
    if (skipped !== null) {
      at += skipped[0].length;
      continue;
    }
    const { token, length } = nextToken(rest, at + 1, tokens.at(-1));
    tokens.push(token);
    at += length;
  }
  tokens.push({ kind: 'end', text: '', column: text.length + 1 });
  return tokens;
}

interface Found {
  readonly token: Token;
  readonly length: number;
}

function nextToken(rest: string, column: number, before: Token | undefined): Found {
  const file = FILE.exec(rest);
  if (file !== null)
    return { token: { kind: 'file', text: file[1] ?? file[2] ?? file[0], column }, length: file[0].length };
  const found = fieldToken(rest, column, before) ?? literalToken(rest, column);
  if (found !== undefined) return found;
  const name = NAME.exec(rest);
  if (name !== null) return { token: { kind: 'name', text: name[0], column }, length: name[0].length };
  const register = /^\$(\w+)/.exec(rest);
  if (register?.[1] !== undefined) {
    const text = register[1].toLowerCase();
    return { token: { kind: 'register', text, column }, length: register[0].length };
  }
  const symbol = SYMBOLS.find((candidate) => rest.startsWith(candidate));
  if (symbol !== undefined) return { token: { kind: 'symbol', text: symbol, column }, length: symbol.length };
  const what = /^['"]/.test(rest) ? 'a quote that does not end' : `unexpected character: ${rest[0] ?? ''}`;
  throw new QueryError(what, column);
}

/** `.0.1` after a value: Rust's fields, not a fraction. */
function fieldToken(rest: string, column: number, before: Token | undefined): Found | undefined {
  const isAfterValue =
    before?.kind === 'name' || (before?.kind === 'symbol' && (before.text === ')' || before.text === ']'));
  if (isAfterValue && /^\.\d/.test(rest)) return { token: { kind: 'symbol', text: '.', column }, length: 1 };
  const digits = before?.kind === 'symbol' && before.text === '.' ? /^\d+/.exec(rest)?.[0] : undefined;
  if (digits === undefined) return undefined;
  return { token: { kind: 'name', text: digits, column }, length: digits.length };
}

function literalToken(rest: string, column: number): Found | undefined {
  const float = FLOAT.exec(rest) ?? RUST_FLOAT.exec(rest);
  if (float !== null) {
    const [text] = float;
    const value = Number.parseFloat(text.replaceAll('_', ''));
    return { token: { kind: 'float', value, text, column }, length: text.length };
  }
  const string = STRING.exec(rest);
  if (string?.[1] !== undefined) {
    const value = unescaped(string[1]);
    return { token: { kind: 'string', value, text: string[0], column }, length: string[0].length };
  }
  const number = INTEGER.exec(rest) ?? CHARACTER.exec(rest) ?? /^\d[\w']*/.exec(rest);
  if (number === null) return undefined;
  const value = parseInteger(number[0]);
  if (value === undefined) throw new QueryError(`not a number: ${number[0]}`, column);
  return { token: { kind: 'integer', value, text: number[0], column }, length: number[0].length };
}

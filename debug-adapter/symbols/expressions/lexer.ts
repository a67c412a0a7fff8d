/** Tokens of the expression language: C's, C++'s and Rust's literals, with `$register` and `file.c::name`. */
import { QueryError } from '../base/queryError.ts';
import {
  type Language,
  leadingCharacter,
  leadingNumber,
  type NumberLiteral,
  unescaped,
} from '../values/literals.ts';

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

const STRING = /^(?:[bLuU]|u8)?"((?:\\.|[^"\\])*)"/su;
/** gcc's and clang's names of the pointer to a class's virtual functions are not identifiers. */
const NAME = /^(?:_vptr[.$][\w:]+|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)/;
/**
 * `main.c` or `fs/read_write.c` right before `::`, in quotes (as in gdb) or without. A sum looks like the
 * beginning of a path: how far to look is bounded.
 */
const FILE =
  /^(?:[\w./+-]{0,255}[\w+-]\.(?:c|h|cc|cpp|cxx|c\+\+|hh|hpp|hxx|inc|ipp|rs|s|S|m|mm|zig|d)(?=::)|'([^']+\.\w+)'(?=::)|"([^"]+)"(?=::))/;
/** The name compilers give to what has none; units list its members without it. */
const ANONYMOUS = /^\(anonymous namespace\)\s*::/;

/** Sums of ten thousand terms are fine; anything longer was not meant to be an expression. */
const MAX_CHARACTERS = 100_000;

/** How numbers are written. */
export interface NumberSyntax {
  readonly language: Language;
  /** Underscores may separate the digits of any number: addresses are long. */
  readonly underscores?: boolean | undefined;
}

/** Throws QueryError with the column of what is not a token. */
export function tokenize(text: string, numbers: NumberSyntax): Token[] {
  if (text.length > MAX_CHARACTERS)
    throw new QueryError(`expression too long: ${text.length} characters, at most ${MAX_CHARACTERS}`, 1);
  const tokens: Token[] = [];
  // Without it there are no file names to look for, which sums resemble.
  const hasScopes = text.includes('::');
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
    const { token, length } = nextToken(rest, at + 1, { before: tokens.at(-1), numbers, hasScopes });
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

interface Around {
  readonly before: Token | undefined;
  readonly numbers: NumberSyntax;
  readonly hasScopes: boolean;
}

function nextToken(rest: string, column: number, { before, numbers, hasScopes }: Around): Found {
  const file = hasScopes ? FILE.exec(rest) : null;
  if (file !== null)
    return { token: { kind: 'file', text: file[1] ?? file[2] ?? file[0], column }, length: file[0].length };
  const found = fieldToken(rest, column, before) ?? literalToken(rest, column, numbers);
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
  throw new QueryError(mistakeAt(rest), column);
}

function mistakeAt(rest: string): string {
  const quoted = /^'[^']*'/.exec(rest)?.[0];
  if (quoted !== undefined) return `not one character: ${quoted}`;
  return /^['"]/.test(rest) ? 'a quote that does not end' : `unexpected character: ${rest[0] ?? ''}`;
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

function literalToken(rest: string, column: number, numbers: NumberSyntax): Found | undefined {
  const string = STRING.exec(rest);
  if (string?.[1] !== undefined) {
    const value = unescaped(string[1]);
    return { token: { kind: 'string', value, text: string[0], column }, length: string[0].length };
  }
  const number = leadingNumberIn(rest, column, numbers);
  if (number !== undefined) return { token: { ...number, column }, length: number.text.length };
  const character = leadingCharacter(rest, column);
  return character && { token: { kind: 'integer', ...character, column }, length: character.text.length };
}

function leadingNumberIn(
  rest: string,
  column: number,
  { language, underscores }: NumberSyntax,
): NumberLiteral | undefined {
  const parted = underscores === true ? /^\d\w*_\w*/.exec(rest)?.[0] : undefined;
  if (parted === undefined) return leadingNumber(rest, language, column);
  const number = leadingNumber(parted.replaceAll('_', ''), language, column);
  return number && { ...number, text: parted };
}

/**
 * Number and character literals in each language: C11 §6.4.4, C++20 [lex.icon] and [lex.fcon], the Rust
 * Reference, "Literal expressions". `017` is 15 in C and 17 in Rust.
 */
import { QueryError } from '../base/queryError.ts';

export type Language = 'c' | 'c++' | 'rust';

export type NumberLiteral =
  | { readonly kind: 'integer'; readonly value: bigint; readonly text: string }
  | { readonly kind: 'float'; readonly value: number; readonly text: string };

/** What a number may be made of (C11 §6.4.8), except that a sign after a hexadecimal `e` is an operator. */
const HEX_NUMBER = /^0[xX](?:[pP][+-](?=\d)|[.\w]|'(?=[\da-fA-F]))*/;
const NUMBER = /^(?:\d|\.\d)(?:[eE][+-](?=\d)|[.\w]|'(?=\d))*/;

const C_INTEGER =
  /^(0[xX][\da-fA-F](?:'?[\da-fA-F])*|0[bB][01](?:'?[01])*|0(?:'?[0-7])*|[1-9](?:'?\d)*)(?:[uU](?:ll?|LL?|[zZ])?|(?:ll|LL|[lLzZ])[uU]?)?$/;
const C_FLOAT =
  /^(?:(?:\d(?:'?\d)*)?\.\d(?:'?\d)*|\d(?:'?\d)*\.|\d(?:'?\d)*(?=[eE]))(?:[eE][+-]?\d+)?[fFlL]?$/;
const HEX_FLOAT = /^0[xX]((?:[\da-fA-F]'?)*)\.?((?:[\da-fA-F]'?)*)[pP]([+-]?\d+)[fFlL]?$/;
const RUST_INTEGER =
  /^(0x_*[\da-fA-F][\da-fA-F_]*?|0b_*[01][01_]*|0o_*[0-7][0-7_]*|\d[\d_]*)(?:[ui](?:8|16|32|64|128|size))?$/;
const RUST_FLOAT =
  /^(?:\d[\d_]*\.(?:\d[\d_]*)?(?:[eE][+-]?[\d_]+)?|\d[\d_]*[eE][+-]?[\d_]+|\d[\d_]*(?=f))(?:f32|f64)?$/;

/**
 * The number a text begins with; undefined when it begins with none. Throws QueryError for one that the
 * language does not have.
 */
export function leadingNumber(text: string, language: Language, column?: number): NumberLiteral | undefined {
  const found = (HEX_NUMBER.exec(text) ?? NUMBER.exec(text))?.[0];
  if (found === undefined) return undefined;
  const literal = language === 'rust' ? rustNumber(found) : cNumber(found);
  if (literal === undefined) throw new QueryError(mistakeIn(found, language), column);
  if (literal.kind === 'integer' && literal.value >= 1n << 128n)
    throw new QueryError('a number of more than 128 bits', column);
  return literal;
}

/** The whole text as a number, perhaps with a sign; undefined for anything else. */
export function parseNumber(text: string, language: Language): NumberLiteral | undefined {
  const [, sign, digits = ''] = /^([-+]?)(.*)$/s.exec(text) ?? [];
  const literal = language === 'rust' ? rustNumber(digits) : cNumber(digits);
  if (literal === undefined || sign !== '-') return literal;
  return literal.kind === 'integer'
    ? { ...literal, value: -literal.value }
    : { ...literal, value: -literal.value };
}

function cNumber(text: string): NumberLiteral | undefined {
  const integer = C_INTEGER.exec(text)?.[1]?.replaceAll("'", '');
  if (integer !== undefined) {
    const isOctal = /^0\d/.test(integer);
    return { kind: 'integer', value: BigInt(isOctal ? `0o${integer.slice(1)}` : integer), text };
  }
  const hex = HEX_FLOAT.exec(text);
  if (hex !== null) return hexFloat(hex, text);
  if (!C_FLOAT.test(text)) return undefined;
  return { kind: 'float', value: Number.parseFloat(text.replaceAll("'", '')), text };
}

function hexFloat(
  [, whole = '', fraction = '', exponent]: RegExpExecArray,
  text: string,
): NumberLiteral | undefined {
  const after = fraction.replaceAll("'", '');
  const digits = whole.replaceAll("'", '') + after;
  if (digits === '') return undefined;
  return {
    kind: 'float',
    value: Number(BigInt(`0x${digits}`)) * 2 ** (Number(exponent) - 4 * after.length),
    text,
  };
}

function rustNumber(text: string): NumberLiteral | undefined {
  const integer = RUST_INTEGER.exec(text)?.[1]?.replaceAll('_', '');
  if (integer !== undefined) {
    // BigInt() gives a leading zero no meaning, as Rust does.
    return { kind: 'integer', value: BigInt(integer), text };
  }
  if (!RUST_FLOAT.test(text)) return undefined;
  return { kind: 'float', value: Number.parseFloat(text.replaceAll('_', '')), text };
}

function mistakeIn(text: string, language: Language): string {
  if (language === 'rust') {
    if (text.includes("'")) return `invalid number ${text}: Rust separates digits with _`;
    return `invalid number: ${text}`;
  }
  if (/^0[\d']*[89][\d']*[uUlL]*$/.test(text))
    return `invalid octal number ${text}: a leading 0 means base 8`;
  if (/^0[oO]/.test(text)) return `invalid number ${text}: C writes octal numbers with just a leading 0`;
  if (text.includes('_')) return `invalid number ${text}: C separates digits with '`;
  return `invalid number: ${text}`;
}

const ESCAPES: Readonly<Record<string, number>> = {
  n: 10,
  t: 9,
  r: 13,
  a: 7,
  b: 8,
  f: 12,
  v: 11,
  e: 27,
  '\\': 92,
  "'": 39,
  '"': 34,
  '?': 63,
};

const ESCAPE_BODY = 'x[0-9a-fA-F]{1,8}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|u\\{[0-9a-fA-F]{1,6}\\}|[0-7]{1,3}|.';
const ESCAPE = new RegExp(`\\\\(${ESCAPE_BODY})`, 'gsu');
const CHARACTER = new RegExp(`^(?:[bLuU]|u8)?'(?:\\\\(${ESCAPE_BODY})|([^\\\\']))'`, 'su');
const MAX_CODE_POINT = 0x10ffff;

/**
 * The character constant a text begins with; undefined when it begins with none. Throws QueryError for an
 * unknown escape.
 */
export function leadingCharacter(
  text: string,
  column?: number,
): { readonly value: bigint; readonly text: string } | undefined {
  const match = CHARACTER.exec(text);
  if (match === null) return undefined;
  const [found, escape, letter] = match;
  const code = escape === undefined ? letter?.codePointAt(0) : escapeCode(escape);
  if (code === undefined) throw new QueryError(`unknown escape in ${found}`, column);
  return { value: BigInt(code), text: found };
}

/**
 * A string's characters from the text between its quotes. An unknown escape is what follows its backslash.
 */
export function unescaped(text: string): string {
  return text.replace(ESCAPE, (_all, escape: string) => {
    const code = escapeCode(escape);
    return code === undefined || code > MAX_CODE_POINT ? escape : String.fromCodePoint(code);
  });
}

/** Of what follows the backslash. */
function escapeCode(escape: string): number | undefined {
  if (/^[0-7]/.test(escape)) return Number.parseInt(escape, 8);
  if (escape.length === 1) return ESCAPES[escape];
  const code = Number.parseInt(escape.slice(1).replace('{', ''), 16);
  return escape.startsWith('x') || code <= MAX_CODE_POINT ? code : undefined;
}

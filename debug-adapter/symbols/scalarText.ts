/** Numbers, characters, enumerators and pointers as text, the way in: what a user types to set a value. */
import { DW_ATE } from '../dwarf/constants.ts';
import { floatBits as encodeFloat } from './floatText.ts';
import { QueryError } from './queryError.ts';
import { type BaseType, type Type, sizeOf, strip, typeName } from './types.ts';

/** The bits of a scalar of `type` written as text. Throws QueryError. */
export function scalarBits(type: Type, text: string, bitSize?: number): bigint {
  const bare = strip(type);
  const trimmed = text.trim();
  const bits = bitSize ?? 8 * (sizeOf(type) ?? 0);
  if (bare.kind === 'struct' || bare.kind === 'array' || bits === 0) {
    throw new QueryError(`a value of type ${typeName(type)} cannot be set as a whole`);
  }
  if (bare.kind === 'enum') {
    const enumerator = bare.enumerators.find(({ name }) => name === trimmed);
    if (enumerator !== undefined) return BigInt.asUintN(bits, enumerator.value);
  }
  if (bare.kind === 'base' && bare.encoding === DW_ATE.float)
    return floatBits(bare, Number(trimmed), trimmed);
  if (bare.kind === 'base' && bare.encoding === DW_ATE.boolean && /^(true|false)$/.test(trimmed)) {
    return trimmed === 'true' ? 1n : 0n;
  }
  const value = parseInteger(trimmed);
  if (value === undefined) throw new QueryError(`not a value of type ${typeName(type)}: ${trimmed}`);
  if (value >= 1n << BigInt(bits) || value < -(1n << BigInt(bits - 1))) {
    throw new QueryError(`${trimmed} does not fit ${bits} bits`);
  }
  return BigInt.asUintN(bits, value);
}

/** The bits of a number as a floating point type has them. `text` is what the user wrote. */
export function floatBits(type: BaseType, value: number, text = 'nan'): bigint {
  if (Number.isNaN(value) && text.toLowerCase() !== 'nan') throw new QueryError(`not a number: ${text}`);
  const bits = encodeFloat(type, value);
  if (bits === undefined) throw new QueryError(`values of type ${type.name} cannot be set`);
  return bits;
}

const INTEGER =
  /^(-?)(0[xX][0-9a-fA-F'_]+?|0[bB][01'_]+|0o[0-7_]+|[0-9][0-9'_]*?)(?:_?[ui](?:8|16|32|64|128|size)|[uU]?[lL]{0,2}|[lL]{1,2}[uU]?)$/;

/**
 * Integer and character literals: C's `42`, `-0x10`, `0b101`, `017`, `1'000ul`, `'a'`, `'\n'`, `L'a'`; Rust's `1_000`, `0x1f_u8`, `0o17`,
 * `b'a'`.
 */
export function parseInteger(text: string): bigint | undefined {
  const character = parseCharacter(text);
  if (character !== undefined) return character;
  const match = INTEGER.exec(text);
  if (match?.[2] === undefined) return undefined;
  const digits = match[2].replaceAll(/['_]/g, '');
  const isOctal = /^0[0-7]+$/.test(digits);
  // `09` is no number, nor is `0x'`.
  if (!isOctal && !/^(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0o[0-7]+|0|[1-9]\d*)$/.test(digits)) return undefined;
  const value = BigInt(isOctal ? `0o${digits.slice(1)}` : digits);
  return match[1] === '-' ? -value : value;
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
};

const ESCAPE = /\\(x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{4}|u\{[0-9a-fA-F]{1,6}\}|[0-7]{1,3}|.)/gsu;
const CHARACTER =
  /^(?:[bLuU]|u8)?'(\\(?:x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{4}|u\{[0-9a-fA-F]{1,6}\}|[0-7]{1,3}|.)|[^\\'])'$/su;

function parseCharacter(text: string): bigint | undefined {
  const body = CHARACTER.exec(text)?.[1];
  if (body === undefined) return undefined;
  const code = body.startsWith('\\') ? escapeCode(body.slice(1)) : body.codePointAt(0);
  return code === undefined ? undefined : BigInt(code);
}

/** A string's letters from what stands between its quotes. An escape nobody knows is what follows its backslash. */
export function unescaped(text: string): string {
  return text.replace(ESCAPE, (_all, escape: string) => {
    const code = escapeCode(escape);
    return code === undefined ? escape : String.fromCodePoint(code);
  });
}

/** Of what follows the backslash. */
function escapeCode(escape: string): number | undefined {
  if (/^[0-7]/.test(escape)) return Number.parseInt(escape, 8);
  if (escape.length > 1) return Number.parseInt(escape.slice(1).replace('{', ''), 16);
  return ESCAPES[escape];
}

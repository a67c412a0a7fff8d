/** Numbers, characters, enumerators and pointers as text, the way in: what a user types to set a value. */
import { DW_ATE } from '../dwarf/constants.ts';
import { QueryError } from './queryError.ts';
import { type Type, sizeOf, strip, typeName } from './types.ts';

const scratch = new DataView(new ArrayBuffer(8));

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
    return floatBits(Number(trimmed), bare.sizeBytes, trimmed);
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

export function floatBits(value: number, sizeBytes: number, text: string): bigint {
  if (Number.isNaN(value) && text.toLowerCase() !== 'nan') throw new QueryError(`not a number: ${text}`);
  if (sizeBytes === 4) {
    scratch.setFloat32(0, value);
    return BigInt(scratch.getUint32(0));
  }
  if (sizeBytes === 8) {
    scratch.setFloat64(0, value);
    return scratch.getBigUint64(0);
  }
  throw new QueryError(`floating point values of ${sizeBytes} bytes cannot be set`);
}

/** C integer and character literals: `42`, `-0x10`, `0b101`, `017`, `'a'`, `'\n'`, with u and l suffixes. */
export function parseInteger(text: string): bigint | undefined {
  const character = parseCharacter(text);
  if (character !== undefined) return character;
  const match = /^(-?)(0[xX][0-9a-fA-F']+|0[bB][01']+|[0-9][0-9']*)(?:[uU]?[lL]{0,2}|[lL]{1,2}[uU]?)$/.exec(
    text,
  );
  if (match?.[2] === undefined) return undefined;
  const digits = match[2].replaceAll("'", '');
  const isOctal = /^0[0-7]+$/.test(digits);
  if (/^0\d+$/.test(digits) && !isOctal) return undefined;
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

function parseCharacter(text: string): bigint | undefined {
  const match = /^'(?:\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)|([^\\']))'$/su.exec(text);
  if (match === null) return undefined;
  const [, escape, plain] = match;
  if (plain !== undefined) return BigInt(plain.codePointAt(0) ?? 0);
  if (escape === undefined) return undefined;
  if (/^[0-7]/.test(escape)) return BigInt(Number.parseInt(escape, 8));
  if (escape.length > 1) return BigInt(Number.parseInt(escape.slice(1), 16));
  const code = ESCAPES[escape];
  return code === undefined ? undefined : BigInt(code);
}

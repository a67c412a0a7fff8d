/** Parses numbers, characters, enumerators and pointers: what a user types to set a value. */
import { DW_ATE } from '../../dwarf/constants.ts';
import { QueryError } from '../base/queryError.ts';
import { type BaseType, type Type, sizeOf, strip, typeName } from '../types/type.ts';
import { encodeFloat } from './floatText.ts';
import { type Language, leadingCharacter, parseNumber } from './literals.ts';

/** Whose literal syntax applies, and how wide a bit-field is. */
export interface LiteralStyle {
  readonly language?: Language | undefined;
  readonly bitSize?: number | undefined;
}

/** The bits of a scalar of `type` written as text. Throws QueryError. */
export function scalarBits(type: Type, text: string, how: LiteralStyle = {}): bigint {
  const bare = strip(type);
  const trimmed = text.trim();
  const { language = 'c' } = how;
  const bits = how.bitSize ?? 8 * (sizeOf(type) ?? 0);
  if (bare.kind === 'struct' || bare.kind === 'array' || bits === 0) {
    throw new QueryError(`a value of type ${typeName(type)} cannot be set as a whole`);
  }
  if (bare.kind === 'enum') {
    const enumerator = bare.enumerators.find(({ name }) => name === trimmed);
    if (enumerator !== undefined) return BigInt.asUintN(bits, enumerator.value);
  }
  if (bare.kind === 'base' && bare.encoding === DW_ATE.float)
    return floatBits(bare, floatValue(trimmed, language), trimmed);
  if (bare.kind === 'base' && bare.encoding === DW_ATE.boolean && /^(true|false)$/.test(trimmed)) {
    return trimmed === 'true' ? 1n : 0n;
  }
  const value = integerValue(trimmed, language);
  if (value === undefined) throw new QueryError(`not a value of type ${typeName(type)}: ${trimmed}`);
  if (value >= 1n << BigInt(bits) || value < -(1n << BigInt(bits - 1))) {
    throw new QueryError(`${trimmed} does not fit ${bits} bits`);
  }
  return BigInt.asUintN(bits, value);
}

/** NaN for what is not a number. */
function floatValue(text: string, language: Language): number {
  return Number(parseNumber(text, language)?.value ?? Number(text));
}

/** An integer, a character, or a whole number written as `1e3`. */
function integerValue(text: string, language: Language): bigint | undefined {
  const character = leadingCharacter(text);
  if (character !== undefined) return character.text === text ? character.value : undefined;
  const number = parseNumber(text, language);
  if (number?.kind !== 'float') return number?.value;
  return Number.isInteger(number.value) ? BigInt(number.value) : undefined;
}

/** The bits of a number as a floating point type has them. `text` is what the user wrote. */
export function floatBits(type: BaseType, value: number, text = 'nan'): bigint {
  if (Number.isNaN(value) && text.toLowerCase() !== 'nan') throw new QueryError(`not a number: ${text}`);
  const bits = encodeFloat(type, value);
  if (bits === undefined) throw new QueryError(`values of type ${type.name} cannot be set`);
  return bits;
}

/** Scalars as text, from their bits: in the form of their type, or the one a format letter asks for. */
import { DW_ATE } from '../../dwarf/constants.ts';
import { isSignedType, isSignedField } from '../types/scalarTypes.ts';
import { type BaseType, type EnumType, sizeOf } from '../types/type.ts';
import { decimalFloatText, floatText } from './floatText.ts';
import { characterKind, characterText } from './stringText.ts';
import type { TargetValue } from './targetValue.ts';

export function formatScalar(value: TargetValue, fieldBits: bigint, letter?: string): string {
  const { bare } = value;
  const sizeBits = 8 * (sizeOf(bare) ?? 0);
  const isNegative = value.bits !== undefined && isSignedField(bare);
  // In any form: a bit-field is a number of its type, negative or not.
  const bits = isNegative ? BigInt.asUintN(sizeBits, BigInt.asIntN(value.bits.size, fieldBits)) : fieldBits;
  const asked = letter === undefined ? undefined : formatBits(value, bits, sizeBits, letter);
  if (asked !== undefined) return asked;
  if (bare.kind === 'enum') return enumText(bare, bare.isSigned ? BigInt.asIntN(sizeBits, bits) : bits);
  if (bare.kind !== 'base') return `0x${bits.toString(16)}`;
  const kind = characterKind(value.type);
  if (kind === undefined) return baseText(bare, bits, sizeBits);
  const number = isSignedType(bare) ? BigInt.asIntN(sizeBits, bits) : bits;
  return characterText(number, BigInt.asUintN(8 * kind.sizeBytes, number), kind);
}

/** Undefined for letters that say nothing about a scalar. */
function formatBits(value: TargetValue, bits: bigint, sizeBits: number, letter: string): string | undefined {
  switch (letter) {
    case 'x':
      return `0x${bits.toString(16)}`;
    case 'h':
      return isInteger(value) ? `0x${bits.toString(16)}` : undefined;
    case 'z':
      return `0x${bits.toString(16).padStart(Math.ceil(sizeBits / 4), '0')}`;
    case 'o':
      return bits === 0n ? '0' : `0${bits.toString(8)}`;
    case 'b':
    case 't':
      return `0b${bits.toString(2)}`;
    case 'd':
      return BigInt.asIntN(sizeBits, bits).toString();
    case 'u':
      return bits.toString();
    case 'c':
      return characterText(BigInt.asIntN(8, bits), bits & 0xffn, { prefix: '', sizeBytes: 1 });
    case 'a':
      return pointerText(value, bits);
    case 'f':
      return asFloat(value, bits, sizeBits);
    default:
      return undefined;
  }
}

/**
 * A number that is not a character, truth value or fraction: what an editor's switch to hexadecimal affects.
 */
function isInteger({ bare, type }: TargetValue): boolean {
  if (bare.kind !== 'base' || characterKind(type) !== undefined) return false;
  return bare.sizeBytes > 0 && (bare.encoding === DW_ATE.signed || bare.encoding === DW_ATE.unsigned);
}

/** The bits of an integer read as a floating point number; a number of another size stays as it is. */
function asFloat(value: TargetValue, bits: bigint, sizeBits: number): string | undefined {
  const { bare } = value;
  if (bare.kind === 'base' && FLOATS.has(bare.encoding)) return undefined;
  if (sizeBits !== 32 && sizeBits !== 64) return undefined;
  return floatText({ kind: 'base', name: '', encoding: DW_ATE.float, sizeBytes: sizeBits / 8 }, bits);
}

const FLOATS = new Set<number>([DW_ATE.float, DW_ATE.complex_float, DW_ATE.decimal_float]);

function baseText(type: BaseType, bits: bigint, sizeBits: number): string {
  switch (type.encoding) {
    case DW_ATE.boolean:
      return bits === 0n ? 'false' : bits === 1n ? 'true' : bits.toString();
    case DW_ATE.float:
    case DW_ATE.complex_float:
      return floatText(type, bits);
    case DW_ATE.decimal_float:
      return decimalFloatText(bits, type.sizeBytes);
    case DW_ATE.signed:
      return BigInt.asIntN(sizeBits, bits).toString();
    default:
      // Rust's unit type is recorded as a number without bits.
      return type.sizeBytes === 0 ? type.name : bits.toString();
  }
}

/** The enumerator, or those whose bits add up to the value (as gdb shows flags), or the number. */
function enumText(type: EnumType, value: bigint): string {
  const exact = type.enumerators.find((enumerator) => enumerator.value === value);
  if (exact !== undefined) return type.scope + exact.name;
  const isFlags = type.enumerators.every((one) => one.value >= 0n && (one.value & (one.value - 1n)) === 0n);
  if (!isFlags || value <= 0n) return value.toString();
  const names: string[] = [];
  let rest = value;
  for (const { name, value: flag } of type.enumerators) {
    if (flag === 0n || (rest & flag) === 0n) continue;
    names.push(type.scope + name);
    rest &= ~flag;
  }
  if (rest !== 0n) names.push(`unknown: 0x${rest.toString(16)}`);
  return `(${names.join(' | ')})`;
}

/** `0x401136 <main+4>` */
export function pointerText(value: TargetValue, address: bigint): string {
  const symbol = address === 0n ? undefined : value.world.symbolize(address);
  return `0x${address.toString(16)}${symbol === undefined ? '' : ` <${symbol}>`}`;
}

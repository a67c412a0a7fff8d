/**
 * Floating point numbers of every format compilers use as text: the shortest decimal that means the same
 * bits.
 */
import { DW_ATE } from '../../dwarf/constants.ts';
import type { BaseType } from '../types/type.ts';

/** A binary format: bits of exponent, and of the fraction as stored. */
interface FloatFormat {
  readonly exponentBits: number;
  readonly fractionBits: number;
  /** The x87 format stores the bit before the point, which the others leave out. */
  readonly hasIntegerBit: boolean;
}

const BINARY16: FloatFormat = { exponentBits: 5, fractionBits: 10, hasIntegerBit: false };
const BFLOAT16: FloatFormat = { exponentBits: 8, fractionBits: 7, hasIntegerBit: false };
const BINARY32: FloatFormat = { exponentBits: 8, fractionBits: 23, hasIntegerBit: false };
const BINARY64: FloatFormat = { exponentBits: 11, fractionBits: 52, hasIntegerBit: false };
const X87: FloatFormat = { exponentBits: 15, fractionBits: 63, hasIntegerBit: true };
const BINARY128: FloatFormat = { exponentBits: 15, fractionBits: 112, hasIntegerBit: false };

/**
 * `long double` of x86 is the 10-byte x87 format padded to 12 or 16 bytes; other 16-byte types are IEEE's.
 */
function formatOf({ name, sizeBytes }: Pick<BaseType, 'name' | 'sizeBytes'>): FloatFormat | undefined {
  switch (sizeBytes) {
    case 2:
      return /bf16|bfloat/i.test(name) ? BFLOAT16 : BINARY16;
    case 4:
      return BINARY32;
    case 8:
      return BINARY64;
    case 10:
    case 12:
      return X87;
    case 16:
      return /128/.test(name) ? BINARY128 : X87;
    default:
      return undefined;
  }
}

/** As a JavaScript number, rounded to what one holds. */
export function floatNumber(type: BaseType, bits: bigint): number {
  const format = formatOf(type);
  if (format === undefined) return NaN;
  const { sign, special, significand, exponent } = decoded(format, bits);
  // In two steps: the power alone may be beyond what a number holds.
  const half = Math.trunc(exponent / 2);
  const magnitude = Number(significand) * 2 ** half * 2 ** (exponent - half);
  return (sign === '' ? 1 : -1) * (special === undefined ? magnitude : special === 'inf' ? Infinity : NaN);
}

export function floatText(type: BaseType, bits: bigint): string {
  if (type.encoding === DW_ATE.complex_float) return complexText(type, bits);
  const format = formatOf(type);
  return format === undefined ? `0x${bits.toString(16)}` : floatValueText(format, bits);
}

function complexText(type: BaseType, bits: bigint): string {
  const part = { name: type.name.replace(/_?complex /i, ''), sizeBytes: type.sizeBytes / 2 };
  const format = formatOf(part);
  if (format === undefined) return `0x${bits.toString(16)}`;
  const width = 8 * part.sizeBytes;
  const real = floatValueText(format, BigInt.asUintN(width, bits));
  return `${real} + ${floatValueText(format, bits >> BigInt(width))}i`;
}

/** `significand` × 2^`exponent`, unless it is `special`. */
interface Decoded {
  readonly sign: '' | '-';
  readonly special: string | undefined;
  readonly significand: bigint;
  readonly exponent: number;
}

function decoded(format: FloatFormat, bits: bigint): Decoded {
  const { exponentBits, fractionBits, hasIntegerBit } = format;
  const storedBits = BigInt(fractionBits + (hasIntegerBit ? 1 : 0));
  const fraction = BigInt.asUintN(fractionBits, bits);
  const mantissa = BigInt.asUintN(Number(storedBits), bits);
  const biased = Number((bits >> storedBits) & ((1n << BigInt(exponentBits)) - 1n));
  const sign = (bits >> (storedBits + BigInt(exponentBits))) & 1n ? '-' : '';
  const isSpecial = biased === 2 ** exponentBits - 1;
  const isImplicit = !hasIntegerBit && biased !== 0;
  return {
    sign,
    special: !isSpecial ? undefined : fraction === 0n ? 'inf' : `nan(0x${mantissa.toString(16)})`,
    significand: isImplicit ? fraction | (1n << BigInt(fractionBits)) : mantissa,
    exponent: Math.max(biased, 1) - (2 ** (exponentBits - 1) - 1) - fractionBits,
  };
}

function floatValueText(format: FloatFormat, bits: bigint): string {
  const { sign, special, significand, exponent } = decoded(format, bits);
  return sign + (special ?? (significand === 0n ? '0' : shortestDecimal(significand, exponent)));
}

const ten = (power: number): bigint => 10n ** BigInt(power);

/** Of `significand` × 2^`exponent`: the fewest digits that are nearer to it than to its neighbours. */
function shortestDecimal(significand: bigint, exponent: number): string {
  const [numerator, denominator] =
    exponent >= 0 ? [significand << BigInt(exponent), 1n] : [significand, 1n << BigInt(-exponent)];
  // Half the distance to the next number, over the same denominator times two.
  const half = exponent >= 0 ? 1n << BigInt(exponent) : 1n;
  const magnitude = decimalMagnitude(numerator, denominator);
  for (let digits = 1; ; digits++) {
    const scale = magnitude - digits;
    const [scaled, divisor] =
      scale >= 0 ? [numerator, denominator * ten(scale)] : [numerator * ten(-scale), denominator];
    const rounded = (2n * scaled + divisor) / (2n * divisor);
    const distance = rounded * divisor - scaled;
    const limit = scale >= 0 ? half : half * ten(-scale);
    if (2n * (distance < 0n ? -distance : distance) < limit || digits > 40) return decimal(rounded, scale);
  }
}

/** The number of digits before the point; not positive for numbers below one. */
function decimalMagnitude(numerator: bigint, denominator: bigint): number {
  const guess = numerator.toString().length - denominator.toString().length;
  const isBelow = guess >= 0 ? numerator < denominator * ten(guess) : numerator * ten(-guess) < denominator;
  return isBelow ? guess : guess + 1;
}

/** `digits` × 10^`scale`, written as JavaScript writes numbers. */
function decimal(digits: bigint, scale: number): string {
  const all = digits.toString().replace(/(?<=\d)0+$/, '');
  const magnitude = digits.toString().length + scale;
  if (magnitude > 21 || magnitude < -5) {
    const power = magnitude - 1;
    const fraction = all.length > 1 ? `.${all.slice(1)}` : '';
    return `${all[0] ?? '0'}${fraction}e${power < 0 ? '-' : '+'}${Math.abs(power)}`;
  }
  if (magnitude <= 0) return `0.${'0'.repeat(-magnitude)}${all}`;
  if (all.length <= magnitude) return all.padEnd(magnitude, '0');
  return `${all.slice(0, magnitude)}.${all.slice(magnitude)}`;
}

/** IEEE 754-2008 §3.5.2, the binary encoding of decimal numbers, which x86 compilers use. */
export function decimalFloatText(bits: bigint, sizeBytes: number): string {
  const format = DECIMAL_FORMATS[sizeBytes];
  if (format === undefined) return `0x${bits.toString(16)}`;
  const { exponentBits, bias } = format;
  const width = BigInt(8 * sizeBytes);
  const sign = (bits >> (width - 1n)) & 1n ? '-' : '';
  const steering = (bits >> (width - 3n)) & 3n;
  const combination = (bits >> (width - 6n)) & 0x1fn;
  if (combination === 0x1en) return `${sign}inf`;
  if (combination === 0x1fn) return `${sign}nan`;
  // Two leading ones move the exponent down by two bits and imply the top of the coefficient.
  const low = width - 1n - BigInt(exponentBits) - (steering === 3n ? 2n : 0n);
  const exponent = Number((bits >> low) & ((1n << BigInt(exponentBits)) - 1n)) - bias;
  const coefficient = (bits & ((1n << low) - 1n)) | (steering === 3n ? 4n << low : 0n);
  if (coefficient === 0n) return `${sign}0`;
  return sign + decimal(coefficient, exponent);
}

const DECIMAL_FORMATS: Readonly<Record<number, { exponentBits: number; bias: number }>> = {
  4: { exponentBits: 8, bias: 101 },
  8: { exponentBits: 10, bias: 398 },
  16: { exponentBits: 14, bias: 6176 },
};

const scratch = new DataView(new ArrayBuffer(8));

/** The bits of a number in a format. Undefined for formats that cannot be written. */
export function encodeFloat(type: Pick<BaseType, 'name' | 'sizeBytes'>, value: number): bigint | undefined {
  const format = formatOf(type);
  if (format === undefined) return undefined;
  if (format === BINARY32) {
    scratch.setFloat32(0, value);
    return BigInt(scratch.getUint32(0));
  }
  scratch.setFloat64(0, value);
  const bits = scratch.getBigUint64(0);
  return format === BINARY64 ? bits : rebuilt(bits, format);
}

/** A double in another format. Narrower ones lose low bits, rounding to nearest. */
function rebuilt(bits: bigint, format: FloatFormat): bigint {
  const { exponentBits, fractionBits, hasIntegerBit } = format;
  const sign = bits >> 63n;
  const exponent = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & 0xf_ffff_ffff_ffffn;
  const top = 2 ** exponentBits - 1;
  let biased = exponent === 0x7ff ? top : exponent - 1023 + (top >> 1);
  let stored =
    fractionBits >= 52
      ? fraction << BigInt(fractionBits - 52)
      : (fraction + (1n << BigInt(51 - fractionBits))) >> BigInt(52 - fractionBits);
  if (stored >> BigInt(fractionBits) !== 0n) {
    stored = 0n;
    biased++;
  }
  if (exponent === 0 || biased <= 0) return placedSign(0n);
  if (biased >= top && exponent !== 0x7ff) [biased, stored] = [top, 0n];
  const integer = hasIntegerBit ? 1n << BigInt(fractionBits) : 0n;
  const width = BigInt(fractionBits + (hasIntegerBit ? 1 : 0));
  return placedSign((BigInt(biased) << width) | integer | stored);

  function placedSign(magnitude: bigint): bigint {
    return (sign << BigInt(exponentBits + fractionBits + (hasIntegerBit ? 1 : 0))) | magnitude;
  }
}

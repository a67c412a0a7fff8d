/**
 * Numbers of the target as JavaScript's and back: constants, conversions to integers, floats and truth, the
 * types of literals.
 */
import { toBytes } from '../../dwarf/byteOrder.ts';
import { DW_ATE } from '../../dwarf/constants.ts';
import { QueryError } from '../base/queryError.ts';
import { isLittleEndian } from '../types/byteOrder.ts';
import { integer, isFloatType, isSignedType, isSignedField } from '../types/scalarTypes.ts';
import { type BaseType, type PointerType, type Type, VOID, sizeOf } from '../types/type.ts';
import { floatNumber } from './floatText.ts';
import type { Language } from './literals.ts';
import { floatBits } from './parseScalar.ts';
import { TargetValue, type ValueWorld } from './targetValue.ts';

const DOUBLE: BaseType = { kind: 'base', name: 'double', encoding: DW_ATE.float, sizeBytes: 8 };
const FLOAT: BaseType = { kind: 'base', name: 'float', encoding: DW_ATE.float, sizeBytes: 4 };
/** References to references: broken debug information has them without end. */
const MAX_REFERENCES = 16;

const LONG_DOUBLE_16: BaseType = { kind: 'base', name: 'long double', encoding: DW_ATE.float, sizeBytes: 16 };
const LONG_DOUBLE_12: BaseType = { ...LONG_DOUBLE_16, sizeBytes: 12 };
export const CHAR: BaseType = { kind: 'base', name: 'char', encoding: DW_ATE.signed_char, sizeBytes: 1 };
const BOOL: BaseType = { kind: 'base', name: 'bool', encoding: DW_ATE.boolean, sizeBytes: 1 };

const CODE: Type = { kind: 'function', result: VOID, parameters: [], variadic: false, prototyped: false };
const REGISTER_TYPES: Readonly<Record<number, string>> = {
  1: 'signed char',
  2: 'short',
  4: 'int',
  8: 'long',
  16: 'unsigned __int128',
};

export class Scalars {
  readonly world: ValueWorld;
  readonly language: Language;
  readonly int: BaseType;
  readonly long: BaseType;
  readonly unsignedLong: BaseType;

  constructor(world: ValueWorld, language: Language) {
    this.world = world;
    this.language = language;
    const isRust = language === 'rust';
    const { addressSize } = world;
    this.int = integer(isRust ? 'i32' : 'int', 4, true);
    this.long = integer(isRust ? 'isize' : 'long', addressSize, true);
    this.unsignedLong = integer(isRust ? 'usize' : 'unsigned long', addressSize, false);
  }

  constant(type: Type, bits: bigint, expression: string): TargetValue {
    const sizeBytes = sizeOf(type) ?? this.world.addressSize;
    const littleEndian = isLittleEndian(type, this.world);
    const bytes = toBytes(BigInt.asUintN(8 * sizeBytes, bits), sizeBytes, littleEndian);
    return new TargetValue(type, { kind: 'bytes', bytes }, this.world, expression);
  }

  float(type: BaseType, value: number, expression: string): TargetValue {
    return this.constant(type, floatBits(type, value), expression);
  }

  /** The result of a comparison: an int in C, a truth value elsewhere. */
  logical(value: boolean, expression: string): TargetValue {
    return this.constant(this.language === 'c' ? this.int : BOOL, value ? 1n : 0n, expression);
  }

  /** What a number used as an address points to: a long, as in gdb. */
  get word(): BaseType {
    return this.long;
  }

  /**
   * What a register holds. As in gdb: signed numbers, but pointers to code and data where the register is
   * one.
   */
  registerType({ full, sizeBytes }: { readonly full: string; readonly sizeBytes: number }): Type {
    const isWhole = sizeBytes === this.world.addressSize;
    if (isWhole && /^(?:[re]ip|pc)$/.test(full)) return this.pointerTo(CODE);
    if (isWhole && /^(?:[re][sb]p|sp)$/.test(full)) return this.pointerTo(VOID);
    return integer(REGISTER_TYPES[sizeBytes] ?? 'long', sizeBytes, sizeBytes <= 8);
  }

  /** `&` of what has no address. */
  addressOfConstant(value: TargetValue): TargetValue {
    throw new QueryError(`${value.expression} is not in memory`);
  }

  pointerTo(target: Type): PointerType {
    return { kind: 'pointer', sigil: '*', sizeBytes: this.world.addressSize, target };
  }

  /** A scalar as a signed or unsigned integer, by its type. */
  async integer(value: TargetValue): Promise<bigint> {
    const { bare } = value;
    if (isFloatType(bare)) return BigInt(Math.trunc((await this.number(value)) || 0));
    if (bare.kind === 'struct' || bare.kind === 'array' || bare.kind === 'void')
      throw new QueryError(`${value.typeName} is not a number`);
    const bits = await value.unsigned();
    if (value.bits !== undefined) return isSignedField(bare) ? BigInt.asIntN(value.bits.size, bits) : bits;
    return isSignedType(bare) ? BigInt.asIntN(8 * (sizeOf(bare) ?? 8), bits) : bits;
  }

  async number(value: TargetValue): Promise<number> {
    const { bare } = value;
    if (bare.kind !== 'base' || !isFloatType(bare)) return Number(await this.integer(value));
    return floatNumber(bare, await value.unsigned());
  }

  async truth(value: TargetValue): Promise<boolean> {
    if (isFloatType(value.bare)) return (await this.number(value)) !== 0;
    return (await this.integer(value)) !== 0n;
  }

  /** Arrays and functions as pointers to their beginning, references as what they refer to. */
  async decayed(reference: TargetValue): Promise<TargetValue> {
    const value = await this.referred(reference);
    const { bare } = value;
    if (bare.kind !== 'array' && bare.kind !== 'function') return value;
    if (value.address === undefined) throw new QueryError(`${value.expression} is not in memory`);
    const target = bare.kind === 'array' ? bare.element : bare;
    return this.constant(this.pointerTo(target), value.address, value.expression);
  }

  /** What a C++ reference refers to: the reference itself is never meant. */
  async referred(value: TargetValue): Promise<TargetValue> {
    let at = value;
    for (let count = 0; at.bare.kind === 'pointer' && at.bare.sigil !== '*'; count++) {
      if (count > MAX_REFERENCES) throw new QueryError(`${value.typeName} is an endless reference`);
      at = (await at.dereference()).as(at.bare.target, at.expression);
    }
    return at;
  }

  arithmeticType(value: TargetValue): BaseType {
    const { bare } = value;
    if (bare.kind === 'base' && bare.encoding !== DW_ATE.complex_float) return bare;
    if (bare.kind !== 'enum') throw new QueryError(`${value.typeName} is not a number`);
    return integer('int', bare.sizeBytes, bare.isSigned);
  }

  converted(value: bigint, type: BaseType): bigint {
    const bits = 8 * type.sizeBytes;
    return type.encoding === DW_ATE.signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
  }

  /**
   * C11 §6.4.4.1: decimal literals stay signed while they fit; hexadecimal and octal ones may become unsigned
   * first. Rust's suffix names the type. A character is of type char: gdb has no int there even in C.
   */
  literalType(value: bigint, text: string): BaseType {
    const character = /^([bLuU]?|u8)'/.exec(text);
    if (character !== null) return this.#characterType(character[1] ?? '');
    const rust = /_?([ui])(8|16|32|64|128|size)$/.exec(
      /^0x/i.test(text) ? text.replace(/^0x[^_ui]*/i, '') : text,
    );
    if (rust !== null) {
      const sizeBytes = rust[2] === 'size' ? this.world.addressSize : Number(rust[2]) / 8;
      return integer(`${rust[1] ?? ''}${rust[2] ?? ''}`, sizeBytes, rust[1] === 'i');
    }
    const suffix = /[uUlLzZ]*$/.exec(text)?.[0].toLowerCase() ?? '';
    const mustBeUnsigned = suffix.includes('u');
    const mayBeUnsigned = mustBeUnsigned || (this.language !== 'rust' && !/^[1-9]/.test(text));
    for (const type of this.#literalTypes(suffix)) {
      const bits = BigInt(8 * type.sizeBytes);
      if (!mustBeUnsigned && value < 1n << (bits - 1n)) return type;
      if (mayBeUnsigned && value < 1n << bits) return integer(`unsigned ${type.name}`, type.sizeBytes, false);
    }
    const isRust = this.language === 'rust';
    return value < 1n << 64n
      ? integer(isRust ? 'u64' : 'unsigned long', 8, false)
      : integer(isRust ? 'u128' : 'unsigned __int128', 16, false);
  }

  /** Signed, in the order they are tried. */
  #literalTypes(suffix: string): BaseType[] {
    const { int, long } = this;
    if (this.language === 'rust') return [int, integer('i64', 8, true)];
    const longLong = integer('long long', 8, true);
    if (suffix.includes('ll')) return [longLong];
    return /[lz]/.test(suffix) ? [long, longLong] : [int, long, longLong];
  }

  floatType(text: string): BaseType {
    // `0x1p3f` has a suffix, other hexadecimal digits have none.
    const isNumberOnly = /^0x/i.test(text) && !/p/i.test(text);
    if (isNumberOnly) return DOUBLE;
    if (/l$/i.test(text)) return this.world.addressSize === 4 ? LONG_DOUBLE_12 : LONG_DOUBLE_16;
    return /f(?:32)?$/i.test(text) ? FLOAT : DOUBLE;
  }

  #characterType(prefix: string): BaseType {
    const wide = WIDE_CHARACTERS[prefix];
    if (wide !== undefined) return wide;
    if (this.language !== 'rust') return CHAR;
    return prefix === 'b'
      ? integer('u8', 1, false)
      : { kind: 'base', name: 'char', encoding: DW_ATE.UTF, sizeBytes: 4 };
  }
}

const WIDE_CHARACTERS: Readonly<Record<string, BaseType>> = {
  L: { kind: 'base', name: 'wchar_t', encoding: DW_ATE.signed, sizeBytes: 4 },
  u: { kind: 'base', name: 'char16_t', encoding: DW_ATE.UTF, sizeBytes: 2 },
  U: { kind: 'base', name: 'char32_t', encoding: DW_ATE.UTF, sizeBytes: 4 },
};

/** The type a pointer or an array leads to. */
export function pointerOf(value: TargetValue): PointerType | undefined {
  const { bare } = value;
  return bare.kind === 'pointer' ? bare : undefined;
}

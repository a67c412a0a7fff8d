/**
 * Values on the expression stack. DWARF 5 §2.5.1: either of a base type or of the generic type, an integer of
 * the size of an address that has no sign of its own. The bits are kept unsigned; operators read them as the
 * type says.
 */
import { DW_ATE } from './constants.ts';

export interface ValueType {
  /** DW_ATE */
  readonly encoding: number;
  readonly sizeBytes: number;
  readonly isGeneric: boolean;
}

export interface TypedValue {
  readonly type: ValueType;
  /** Unsigned, no wider than the type. */
  readonly bits: bigint;
}

export function genericType(addressSize: number): ValueType {
  return { encoding: DW_ATE.unsigned, sizeBytes: addressSize, isGeneric: true };
}

export function typed(type: ValueType, bits: bigint): TypedValue {
  return { type, bits: BigInt.asUintN(8 * type.sizeBytes, bits) };
}

export function isFloat(type: ValueType): boolean {
  return type.encoding === DW_ATE.float && (type.sizeBytes === 4 || type.sizeBytes === 8);
}

/**
 * Whether comparison, division and right shift by `shra` see a sign; the generic type compares and divides as
 * signed (§2.5.1.4).
 */
export function isSigned(type: ValueType): boolean {
  return type.encoding === DW_ATE.signed || type.encoding === DW_ATE.signed_char;
}

export function signedBits({ type, bits }: TypedValue): bigint {
  return BigInt.asIntN(8 * type.sizeBytes, bits);
}

/** The integer a value represents; of a float, its integer part. */
export function asInteger(value: TypedValue): bigint {
  if (isFloat(value.type)) return BigInt(Math.trunc(finite(asFloat(value))));
  return isSigned(value.type) ? signedBits(value) : value.bits;
}

const scratch = new DataView(new ArrayBuffer(8));

export function asFloat({ type, bits }: TypedValue): number {
  if (!isFloat(type)) return Number(isSigned(type) ? BigInt.asIntN(8 * type.sizeBytes, bits) : bits);
  scratch.setBigUint64(0, bits << (type.sizeBytes === 4 ? 32n : 0n));
  return type.sizeBytes === 4 ? scratch.getFloat32(0) : scratch.getFloat64(0);
}

export function fromFloat(type: ValueType, value: number): TypedValue {
  if (type.sizeBytes === 4) scratch.setFloat32(0, value);
  else scratch.setFloat64(0, value);
  const bits = type.sizeBytes === 4 ? BigInt(scratch.getUint32(0)) : scratch.getBigUint64(0);
  return { type, bits };
}

/** DW_OP_convert (§2.5.1.6). */
export function convert(value: TypedValue, type: ValueType): TypedValue {
  if (isFloat(type)) return fromFloat(type, asFloat(value));
  return typed(type, asInteger(value));
}

function finite(value: number): number {
  return Number.isFinite(value) ? value : 0;
}

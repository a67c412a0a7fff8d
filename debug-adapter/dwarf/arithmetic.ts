/** Arithmetic, logic and comparison of expression operators. DWARF 5 §2.5.1.4, §2.5.1.5. */
import { DW_OP } from './operators.ts';
import {
  type TypedValue,
  asFloat,
  asInteger,
  fromFloat,
  isFloat,
  isSigned,
  signedBits,
  typed,
} from './typedValue.ts';

/** Undefined when the operator is not one of two operands; 'zero' for a division by zero. */
export function binary(
  operator: number,
  left: TypedValue,
  right: TypedValue,
): TypedValue | 'zero' | undefined {
  if (isFloat(left.type)) return binaryFloat(operator, left, right);
  const { type } = left;
  const a = left.bits;
  const b = right.bits;
  // The generic type divides as signed and takes the remainder as unsigned (§2.5.1.4).
  const signed = type.isGeneric || isSigned(type);
  switch (operator) {
    case DW_OP.plus:
      return typed(type, a + b);
    case DW_OP.minus:
      return typed(type, a - b);
    case DW_OP.mul:
      return typed(type, a * b);
    case DW_OP.div:
      if (b === 0n) return 'zero';
      return typed(type, signed ? signedBits(left) / signedBits(right) : a / b);
    case DW_OP.mod:
      if (b === 0n) return 'zero';
      return typed(type, isSigned(type) ? signedBits(left) % signedBits(right) : a % b);
    case DW_OP.and:
      return typed(type, a & b);
    case DW_OP.or:
      return typed(type, a | b);
    case DW_OP.xor:
      return typed(type, a ^ b);
    case DW_OP.shl:
      return typed(type, shiftCount(right) >= bitSize(left) ? 0n : a << shiftCount(right));
    case DW_OP.shr:
      return typed(type, shiftCount(right) >= bitSize(left) ? 0n : a >> shiftCount(right));
    case DW_OP.shra:
      return typed(
        type,
        signedBits(left) >> (shiftCount(right) >= bitSize(left) ? bitSize(left) : shiftCount(right)),
      );
    default:
      return undefined;
  }
}

/** The relational operators: signed for signed and generic types. Undefined for another operator. */
export function compare(operator: number, left: TypedValue, right: TypedValue): boolean | undefined {
  const [a, b] = isFloat(left.type)
    ? [asFloat(left), asFloat(right)]
    : left.type.isGeneric
      ? [signedBits(left), signedBits(right)]
      : [asInteger(left), asInteger(right)];
  switch (operator) {
    case DW_OP.eq:
      return a === b;
    case DW_OP.ne:
      return a !== b;
    case DW_OP.lt:
      return a < b;
    case DW_OP.le:
      return a <= b;
    case DW_OP.gt:
      return a > b;
    case DW_OP.ge:
      return a >= b;
    default:
      return undefined;
  }
}

export function unary(operator: number, value: TypedValue): TypedValue | undefined {
  const { type } = value;
  switch (operator) {
    case DW_OP.neg:
      return isFloat(type) ? fromFloat(type, -asFloat(value)) : typed(type, -value.bits);
    case DW_OP.abs: {
      if (isFloat(type)) return fromFloat(type, Math.abs(asFloat(value)));
      const signed = signedBits(value);
      const negative = (type.isGeneric || isSigned(type)) && signed < 0n;
      return typed(type, negative ? -signed : value.bits);
    }
    case DW_OP.not:
      return typed(type, ~value.bits);
    default:
      return undefined;
  }
}

function binaryFloat(operator: number, left: TypedValue, right: TypedValue): TypedValue | 'zero' | undefined {
  const a = asFloat(left);
  const b = asFloat(right);
  switch (operator) {
    case DW_OP.plus:
      return fromFloat(left.type, a + b);
    case DW_OP.minus:
      return fromFloat(left.type, a - b);
    case DW_OP.mul:
      return fromFloat(left.type, a * b);
    case DW_OP.div:
      return b === 0 ? 'zero' : fromFloat(left.type, a / b);
    default:
      return undefined;
  }
}

function bitSize({ type }: TypedValue): bigint {
  return BigInt(8 * type.sizeBytes);
}

function shiftCount(value: TypedValue): bigint {
  return value.bits;
}

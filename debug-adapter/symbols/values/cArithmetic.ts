/** C's arithmetic on integers of any width, and the usual arithmetic conversions (C11 §6.3.1.8). */
import { DW_ATE } from '../../dwarf/constants.ts';
import type { BaseType } from '../types/type.ts';

const INT: BaseType = { kind: 'base', name: 'int', encoding: DW_ATE.signed, sizeBytes: 4 };

/** The type both operands are converted to. */
export function usualType(a: BaseType, b: BaseType): BaseType {
  if (a.encoding === DW_ATE.float || b.encoding === DW_ATE.float) {
    if (a.encoding !== DW_ATE.float) return b;
    return b.encoding !== DW_ATE.float || a.sizeBytes >= b.sizeBytes ? a : b;
  }
  const [x, y] = [promoted(a), promoted(b)];
  if (x.sizeBytes !== y.sizeBytes) return x.sizeBytes > y.sizeBytes ? x : y;
  return x.encoding === DW_ATE.unsigned ? x : y;
}

/** §6.3.1.1: everything narrower than int becomes int. */
function promoted(type: BaseType): BaseType {
  if (type.sizeBytes < 4) return INT;
  const signed = type.encoding === DW_ATE.signed || type.encoding === DW_ATE.signed_char;
  return { ...type, encoding: signed ? DW_ATE.signed : DW_ATE.unsigned };
}

/** Undefined for a division by zero. */
export function integerArithmetic(operator: string, a: bigint, b: bigint): bigint | undefined {
  switch (operator) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return b === 0n ? undefined : a / b;
    case '%':
      return b === 0n ? undefined : a % b;
    case '&':
      return a & b;
    case '|':
      return a | b;
    case '^':
      return a ^ b;
    case '<<':
      return b < 0n || b > 127n ? 0n : a << b;
    case '>>':
      return b < 0n || b > 127n ? 0n : a >> b;
    default:
      return undefined;
  }
}

export function compareValues<T extends bigint | number>(operator: string, a: T, b: T): boolean {
  switch (operator) {
    case '==':
      return a === b;
    case '!=':
      return a !== b;
    case '<':
      return a < b;
    case '>':
      return a > b;
    case '<=':
      return a <= b;
    default:
      return a >= b;
  }
}

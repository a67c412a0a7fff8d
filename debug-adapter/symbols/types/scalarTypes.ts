/** Integers and floating point types: making them, and which of them are signed. */
import { DW_ATE } from '../../dwarf/constants.ts';
import type { BaseType, Type } from './type.ts';

export function integer(name: string, sizeBytes: number, signed: boolean): BaseType {
  return { kind: 'base', name, encoding: signed ? DW_ATE.signed : DW_ATE.unsigned, sizeBytes };
}

export function isFloatType(type: Type): boolean {
  return type.kind === 'base' && type.encoding === DW_ATE.float;
}

export function isSignedType(type: Type): boolean {
  if (type.kind === 'enum') return type.isSigned;
  return type.kind === 'base' && (type.encoding === DW_ATE.signed || type.encoding === DW_ATE.signed_char);
}

/** Whether the highest bit of a bit-field of the type is its sign. */
export function isSignedField(type: Type): boolean {
  return isSignedType(type) && !(type.kind === 'base' && type.isNatural === true);
}

/**
 * Casts: between numbers and pointers as in C, along C++'s hierarchies, and from memory to another type as
 * gdb allows.
 */
import { DW_ATE } from '../../dwarf/constants.ts';
import { QueryError } from '../base/queryError.ts';
import { isFloatType } from '../types/scalarTypes.ts';
import { type PointerType, type Type, strip, typeName } from '../types/type.ts';
import { asBase, fixedBaseOffset } from './classMembers.ts';
import type { Scalars } from './scalars.ts';
import { TargetValue } from './targetValue.ts';

export async function castValue(value: TargetValue, type: Type, scalars: Scalars): Promise<TargetValue> {
  const to = strip(type);
  if (value.bare.kind === 'pointer' && value.bare.sigil !== '*')
    return castValue(await scalars.referred(value), type, scalars);
  if (to.kind === 'pointer' && to.sigil !== '*') return castReference(value, to, scalars);
  if (to.kind === 'struct' || to.kind === 'array') return castObject(value, type, to);
  // An assembler label has no type of its own: the bytes there are what the user says.
  if (value.bare.kind === 'unknown' && value.place.kind === 'memory') return value.as(type);
  const from = await scalars.decayed(value);
  const expression = `(${typeName(type)})${value.expression}`;
  if (to.kind === 'void')
    return new TargetValue(type, { kind: 'missing', reason: 'void' }, value.world, expression);
  if (to.kind === 'pointer' && from.bare.kind === 'pointer') return castPointer(from, type, to, scalars);
  if (to.kind === 'base' && isFloatType(to))
    return scalars.float({ ...to, kind: 'base' }, await scalars.number(from), expression).as(type);
  const isBoolean = to.kind === 'base' && to.encoding === DW_ATE.boolean;
  if (isBoolean) return scalars.constant(type, (await scalars.truth(from)) ? 1n : 0n, expression);
  return scalars.constant(type, await scalars.integer(from), expression);
}

/** To a base: that part of the object. To anything else: its bytes, seen as another type. */
async function castObject(value: TargetValue, type: Type, to: Type): Promise<TargetValue> {
  const wanted = typeName(to);
  const expression = `(${typeName(type)})${value.expression}`;
  const base = await asBase(value, (candidate) => typeName(candidate) === wanted);
  if (base !== undefined) return base.as(type, expression);
  if (value.place.kind === 'memory') return value.as(type, expression);
  throw new QueryError(`cannot cast ${value.typeName} to ${typeName(type)}`);
}

async function castReference(value: TargetValue, to: PointerType, scalars: Scalars): Promise<TargetValue> {
  if (value.address === undefined) throw new QueryError(`${value.expression} is not in memory`);
  const pointer = scalars.constant(scalars.pointerTo(value.type), value.address, value.expression);
  const plain = scalars.pointerTo(to.target);
  return (await castPointer(pointer, plain, plain, scalars)).dereference();
}

/**
 * Between pointers to a class and to its base the address moves by the base's place; a null pointer stays
 * one.
 */
async function castPointer(
  value: TargetValue,
  type: Type,
  to: PointerType,
  scalars: Scalars,
): Promise<TargetValue> {
  const address = await value.unsigned();
  const from = value.bare.kind === 'pointer' ? strip(value.bare.target) : undefined;
  const target = strip(to.target);
  const expression = `(${typeName(type)})${value.expression}`;
  if (address === 0n || from?.kind !== 'struct' || target.kind !== 'struct')
    return scalars.constant(type, address, expression);
  const wanted = typeName(target);
  const base = await asBase(await value.dereference(), (candidate) => typeName(candidate) === wanted);
  if (base?.address !== undefined) return scalars.constant(type, base.address, expression);
  const down = fixedBaseOffset(target, from);
  return scalars.constant(type, address - BigInt(down ?? 0), expression);
}

/**
 * Which members a record of Ada or Pascal currently has: some depend on a discriminant in it. DWARF 5
 * §5.7.10.
 */
import { QueryError } from '../base/queryError.ts';
import { flatMembers } from '../types/flatMembers.ts';
import { isSignedType, isSignedField } from '../types/scalarTypes.ts';
import {
  type Member,
  type StructType,
  type VariantCase,
  type VariantPart,
  sizeOf,
  strip,
} from '../types/type.ts';
import type { TargetValue } from './targetValue.ts';

/** Members that every object has, those of anonymous parts included, and those of the cases this one is. */
export async function presentMembers(value: TargetValue, struct: StructType): Promise<readonly Member[]> {
  const { variantParts = [] } = struct;
  if (variantParts.length === 0) return flatMembers(struct);
  return [...flatMembers(struct), ...(await activeMembers(value, variantParts))];
}

/** Members of the cases an object is. The part of an unreadable discriminant is left out. */
export async function activeMembers(value: TargetValue, parts: readonly VariantPart[]): Promise<Member[]> {
  const found: Member[] = [];
  for (const part of parts) {
    const active = await activeCase(value, part);
    if (active !== undefined) found.push(...active.members, ...(await activeMembers(value, active.parts)));
  }
  return found;
}

async function activeCase(value: TargetValue, part: VariantPart): Promise<VariantCase | undefined> {
  const { discriminant, cases } = part;
  if (discriminant === undefined) return undefined;
  try {
    const bits = await value.part(discriminant).unsigned();
    const type = strip(discriminant.type);
    const width = discriminant.bits?.size ?? 8 * (sizeOf(type) ?? 8);
    const hasSign = discriminant.bits === undefined ? isSignedType(type) : isSignedField(type);
    const tag = hasSign ? BigInt.asIntN(width, bits) : bits;
    const matching = cases.find(({ ranges }) => ranges.some(({ low, high }) => low <= tag && tag <= high));
    return matching ?? cases.find(({ ranges }) => ranges.length === 0);
  } catch (error) {
    if (error instanceof QueryError) return undefined;
    throw error;
  }
}

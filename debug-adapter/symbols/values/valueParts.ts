/**
 * The children of a value: members and elements, what a pointer leads to, the fields of a Rust enum's active
 * case.
 */
import { QueryError } from '../base/queryError.ts';
import { type ArrayType, type StructType, sizeOf, strip, typeName } from '../types/type.ts';
import { presentMembers } from './activeMembers.ts';
import { memberPlace, staticMembers } from './classMembers.ts';
import { type RustView, rustView, sequenceElement } from './rustValue.ts';
import { type NamedPart, type TargetValue, fieldName } from './targetValue.ts';
import type { ChildCounts } from './value.ts';

const NOTHING: ChildCounts = { named: 0, indexed: 0 };

export async function partCounts(value: TargetValue): Promise<ChildCounts> {
  const inner = await unfolded(value);
  if (inner === undefined) return NOTHING;
  try {
    const { bare } = inner;
    if (bare.kind === 'array') return { named: 0, indexed: countable(bare) };
    if (bare.kind !== 'struct') return { named: 1, indexed: 0 };
    if (bare.incomplete) return NOTHING;
    const named = (await presentMembers(inner, bare)).length + (bare.statics?.length ?? 0);
    return (await rustCounts(await rustView(inner))) ?? { named, indexed: 0 };
  } catch (error) {
    if (error instanceof QueryError) return NOTHING;
    throw error;
  }
}

/** From `start`, at most `count`. */
export async function partsOf(
  value: TargetValue,
  start: number,
  count: number,
): Promise<readonly NamedPart[]> {
  const inner = await unfolded(value);
  if (inner === undefined) return [];
  const { bare } = inner;
  if (bare.kind === 'array') return elements(inner, bare, start, Math.min(count, countable(bare) - start));
  if (bare.kind !== 'struct') return start > 0 ? [] : [{ name: inner.expression, value: inner }];
  const operator = value.bare.kind === 'pointer' && value.bare.sigil === '*' ? '->' : '.';
  return (
    (await rustParts(inner, start, count)) ??
    (await members(inner, bare, operator)).slice(start, start + count)
  );
}

/**
 * What has the parts: the value, what a pointer to a structure or a reference leads to. Undefined for what
 * has no children, such as a pointer that cannot be read.
 */
async function unfolded(value: TargetValue): Promise<TargetValue | undefined> {
  try {
    const { place } = value;
    return place.kind === 'missing' && place.target === undefined ? undefined : await followed(value);
  } catch (error) {
    if (error instanceof QueryError) return undefined;
    throw error;
  }
}

async function followed(value: TargetValue): Promise<TargetValue | undefined> {
  const { bare } = value;
  if (bare.kind === 'struct' || bare.kind === 'array') return value;
  if (bare.kind !== 'pointer') return undefined;
  const target = strip(bare.target);
  const isReference = bare.sigil !== '*';
  if (target.kind === 'struct' || (isReference && target.kind === 'array'))
    return (await value.dereference()).as(bare.target, value.expression);
  const leadsNowhere = target.kind === 'void' || target.kind === 'function' || target.kind === 'unknown';
  return isReference || leadsNowhere ? undefined : value.dereference();
}

/** How many elements can be distinguished: none of a type without a size. */
function countable({ element, count }: ArrayType): number {
  return sizeOf(element) === undefined ? 0 : (count ?? 0);
}

/** `start` counts from the first one. */
function elements(
  array: TargetValue,
  { lowerBound = 0 }: ArrayType,
  start: number,
  count: number,
): NamedPart[] {
  return Array.from({ length: Math.max(count, 0) }, (_, at) => {
    const index = lowerBound + start + at;
    return { name: `[${index}]`, value: array.element(index) };
  });
}

async function members(
  owner: TargetValue,
  struct: StructType,
  operator: '.' | '->',
): Promise<readonly NamedPart[]> {
  const found: NamedPart[] = [];
  for (const member of await presentMembers(owner, struct)) {
    const value = owner.part(member, await memberPlace(owner, member), operator);
    if (member.isBase) found.push({ name: typeName(member.type), value, role: 'base' });
    else found.push({ name: fieldName(struct, member), value });
  }
  return [...found, ...(await staticMembers(owner, struct))];
}

/**
 * For a value that is more than its fields: the fields of its case, the elements of a vector. Undefined for
 * others.
 */
async function rustParts(
  value: TargetValue,
  start: number,
  count: number,
): Promise<readonly NamedPart[] | undefined> {
  const view = await rustView(value);
  switch (view?.kind) {
    case 'variant':
      // `shape.w`: the case need not be named, and gdb does not allow it.
      return partsOf(view.value.as(view.value.type, value.expression), start, count);
    case 'sequence':
      return Array.from({ length: Math.max(0, Math.min(count, view.count - start)) }, (_, at) => ({
        name: `[${start + at}]`,
        value: sequenceElement(value, view, start + at),
      }));
    case 'shared':
      return [{ name: 'value', value: view.value }, ...view.counts].slice(start, start + count);
    default:
      return undefined;
  }
}

async function rustCounts(view: RustView | undefined): Promise<ChildCounts | undefined> {
  switch (view?.kind) {
    case 'variant':
      return partCounts(view.value);
    case 'sequence':
      return { named: 0, indexed: view.count };
    case 'shared':
      return { named: 1 + view.counts.length, indexed: 0 };
    default:
      return undefined;
  }
}

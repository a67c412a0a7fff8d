/**
 * Rust's values as their programmers think of them: an enum is one of its cases, a String its text, a Vec or slice its elements.
 * Found by the shape of the debug information, not by offsets, which change from release to release.
 */
import { type StructType, type Type, sizeOf, strip } from './types.ts';
import { TargetValue, flatMembers } from './value.ts';

export type RustView =
  /** `Circle(1.5)`: the case's name, and its structure of fields. */
  | { readonly kind: 'variant'; readonly name: string; readonly value: TargetValue }
  | { readonly kind: 'text'; readonly address: bigint; readonly lengthBytes: number }
  | { readonly kind: 'sequence'; readonly address: bigint; readonly count: number; readonly element: Type }
  /** Fields without names: `(1, 2)`, `Meters(5)`. */
  | { readonly kind: 'tuple'; readonly fields: readonly TargetValue[] }
  | { readonly kind: 'struct' };

/** More elements than memory could hold: the length was not initialised yet. */
const MAX_COUNT = 2 ** 40;
const MAX_DEPTH = 8;

/** Throws QueryError when memory it needs cannot be read. */
export async function rustView(value: TargetValue): Promise<RustView | undefined> {
  const { bare } = value;
  if (bare.kind !== 'struct' || bare.isRust !== true) return undefined;
  if (bare.variants !== undefined) return variantView(value, bare);
  const name = bare.name ?? '';
  if (/^&(?:mut )?str$/.test(name)) return textView(value, 'data_ptr', 'length');
  if (/^&(?:mut )?\[/.test(name)) return sliceView(value);
  if (name === 'alloc::string::String') return stringView(value);
  if (name.startsWith('alloc::vec::Vec<')) return vectorView(value, bare);
  const fields = flatMembers(bare);
  const isTuple = fields.length > 0 && fields.every((field) => /^__\d+$/.test(field.name ?? ''));
  if (!isTuple) return { kind: 'struct' };
  return { kind: 'tuple', fields: fields.flatMap((field) => value.member(field.name ?? '') ?? []) };
}

/** The last part of a path: `Circle` of `r::Shape::Circle`. Generic arguments do not count. */
export function shortName(name: string): string {
  const plain = name.replace(/<.*>$/, '');
  return plain.slice(plain.lastIndexOf(':') + 1);
}

async function variantView(value: TargetValue, struct: StructType): Promise<RustView | undefined> {
  const { discriminant, cases } = struct.variants ?? { discriminant: undefined, cases: [] };
  const [only] = cases;
  let chosen = only;
  if (discriminant !== undefined) {
    const bits = await value.part(discriminant).unsigned();
    const width = 8 * (sizeOf(discriminant.type) ?? 8);
    const matches = (wanted: bigint | undefined): boolean =>
      wanted !== undefined && BigInt.asUintN(width, wanted) === bits;
    chosen = cases.find((one) => matches(one.value)) ?? cases.find((one) => one.value === undefined);
  }
  if (chosen === undefined) return undefined;
  return { kind: 'variant', name: chosen.member.name ?? '?', value: value.part(chosen.member) };
}

async function textView(value: TargetValue, pointer: string, length: string): Promise<RustView | undefined> {
  const address = await value.member(pointer)?.unsigned();
  const lengthBytes = await value.member(length)?.unsigned();
  if (address === undefined || lengthBytes === undefined || lengthBytes > MAX_COUNT) return undefined;
  return { kind: 'text', address, lengthBytes: Number(lengthBytes) };
}

async function sliceView(value: TargetValue): Promise<RustView | undefined> {
  const pointer = value.member('data_ptr');
  const target = pointer && strip(pointer.type);
  const count = await value.member('length')?.unsigned();
  if (target?.kind !== 'pointer' || pointer === undefined || count === undefined || count > MAX_COUNT)
    return undefined;
  return {
    kind: 'sequence',
    address: await pointer.unsigned(),
    count: Number(count),
    element: target.target,
  };
}

async function stringView(value: TargetValue): Promise<RustView | undefined> {
  const vector = value.member('vec');
  const view = vector === undefined ? undefined : await rustView(vector);
  return view?.kind === 'sequence'
    ? { kind: 'text', address: view.address, lengthBytes: view.count }
    : undefined;
}

async function vectorView(value: TargetValue, struct: StructType): Promise<RustView | undefined> {
  const element = struct.parameters?.get('T');
  const count = await value.member('len')?.unsigned();
  const buffer = value.member('buf');
  const pointer = buffer && firstPointer(buffer, 0);
  if (element === undefined || pointer === undefined || count === undefined || count > MAX_COUNT)
    return undefined;
  return { kind: 'sequence', address: await pointer.unsigned(), count: Number(count), element };
}

/** RawVec keeps its pointer inside Unique inside NonNull, however deep this release has it. */
function firstPointer(value: TargetValue, depth: number): TargetValue | undefined {
  const { bare } = value;
  if (bare.kind === 'pointer') return value;
  if (bare.kind !== 'struct' || depth > MAX_DEPTH) return undefined;
  for (const field of flatMembers(bare)) {
    const found = firstPointer(value.part(field), depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The elements of a sequence as values. */
export function sequenceElement(
  owner: TargetValue,
  view: RustView & { kind: 'sequence' },
  index: number,
): TargetValue {
  const address = view.address + BigInt(index * (sizeOf(view.element) ?? 1));
  return new TargetValue(
    view.element,
    { kind: 'memory', address },
    owner.world,
    `${owner.expression}[${index}]`,
  );
}

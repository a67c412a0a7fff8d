/**
 * Rust's values as their programmers think of them: an enum is one of its cases, a String its text, a Vec or
 * slice its elements. Found by the shape of the debug information, not by offsets, which change from release
 * to release.
 */
import { QueryError } from '../base/queryError.ts';
import { flatMembers } from '../types/flatMembers.ts';
import { type StructType, type Type, sizeOf, strip } from '../types/type.ts';
import { type NamedPart, TargetValue } from './targetValue.ts';

export interface RustSequence {
  readonly kind: 'sequence';
  readonly count: number;
  readonly element: Type;
  /** Of an element. */
  readonly addressOf: (index: number) => bigint;
}

export type RustView =
  /** `Circle(1.5)`: the case's name, and its structure of fields. */
  | { readonly kind: 'variant'; readonly name: string; readonly value: TargetValue }
  | { readonly kind: 'text'; readonly address: bigint; readonly lengthBytes: number }
  | RustSequence
  /** Rc and Arc: what all of them point to, and how many do. */
  | { readonly kind: 'shared'; readonly value: TargetValue; readonly counts: readonly NamedPart[] }
  /** Fields without names: `(1, 2)`, `Meters(5)`. */
  | { readonly kind: 'tuple'; readonly fields: readonly TargetValue[] }
  | { readonly kind: 'struct' };

/** More elements than memory could hold: the length is not initialised yet. */
const MAX_COUNT = 2 ** 40;
const MAX_DEPTH = 8;

/** `&str`, `&mut str`, `Box<str>` */
const TEXT = /^(?:&(?:mut )?|\*(?:const|mut) |alloc::boxed::Box<)str\b/;
/** `__0`: how the debug information calls the first field of a tuple. */
const TUPLE_FIELD = /^__\d+$/;

/** Throws QueryError when it cannot be read which case of an enum it is. */
export async function rustView(value: TargetValue): Promise<RustView | undefined> {
  const { bare } = value;
  if (bare.kind !== 'struct' || bare.isRust !== true) return undefined;
  if (bare.variants !== undefined) return variantView(value, bare);
  try {
    return await structView(value, bare);
  } catch (error) {
    // A vector whose length is lost still has its other fields.
    if (error instanceof QueryError) return { kind: 'struct' };
    throw error;
  }
}

async function structView(value: TargetValue, bare: StructType): Promise<RustView | undefined> {
  const name = bare.name ?? '';
  if (value.member('data_ptr') !== undefined && value.member('length') !== undefined)
    return fatPointerView(value, TEXT.test(name));
  if (name === 'alloc::string::String') return stringView(value);
  if (name.startsWith('alloc::vec::Vec<')) return vectorView(value, bare);
  if (name.startsWith('alloc::collections::vec_deque::VecDeque<')) return dequeView(value, bare);
  if (/^alloc::(?:rc::Rc|sync::Arc)</.test(name)) return sharedView(value);
  const fields = flatMembers(bare);
  const isTuple = fields.length > 0 && fields.every((field) => TUPLE_FIELD.test(field.name ?? ''));
  if (!isTuple) return { kind: 'struct' };
  return { kind: 'tuple', fields: fields.map((field) => value.part(field)) };
}

/**
 * Members by the names Rust gives them: `0` of a tuple, fields of the case an enum is, what an Rc points to.
 */
export async function rustMember(value: TargetValue, name: string): Promise<TargetValue | undefined> {
  const { bare } = value;
  if (bare.kind !== 'struct' || bare.isRust !== true) return undefined;
  if (/^\d+$/.test(name) && bare.variants === undefined) return value.member(`__${name}`);
  const view = await rustView(value);
  if (view?.kind === 'shared') return view.value.member(name) ?? rustMember(view.value, name);
  if (view?.kind !== 'variant') return undefined;
  if (view.name === name) return view.value;
  return view.value.member(name) ?? rustMember(view.value, name);
}

/** The elements of a sequence as values. */
export function sequenceElement(owner: TargetValue, view: RustSequence, index: number): TargetValue {
  return new TargetValue(
    view.element,
    { kind: 'memory', address: view.addressOf(index) },
    owner.world,
    `${owner.expression}[${index}]`,
  );
}

/** The last part of a path: `Circle` of `r::Shape::Circle`, `&dyn Speak`. Generic arguments do not count. */
export function shortName(name: string): string {
  const [, sigil = '', path = ''] = /^((?:[&*](?:mut |const )?)?(?:dyn )?)(.*)$/s.exec(name) ?? [];
  const plain = path.replace(/<.*>$/, '');
  return sigil + plain.slice(plain.lastIndexOf(':') + 1);
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

/** A slice or str: where it begins and how long it is. */
async function fatPointerView(value: TargetValue, isText: boolean): Promise<RustView | undefined> {
  const pointer = value.member('data_ptr');
  const target = pointer && strip(pointer.type);
  const length = await value.member('length')?.unsigned();
  if (target?.kind !== 'pointer' || pointer === undefined || length === undefined || length > MAX_COUNT)
    return undefined;
  const address = await pointer.unsigned();
  if (isText) return { kind: 'text', address, lengthBytes: Number(length) };
  return sequence(address, Number(length), target.target);
}

function sequence(address: bigint, count: number, element: Type): RustSequence {
  const size = sizeOf(element) ?? 1;
  return { kind: 'sequence', count, element, addressOf: (index) => address + BigInt(index * size) };
}

async function stringView(value: TargetValue): Promise<RustView | undefined> {
  const vector = value.member('vec');
  const view = vector === undefined ? undefined : await rustView(vector);
  return view?.kind === 'sequence'
    ? { kind: 'text', address: view.addressOf(0), lengthBytes: view.count }
    : undefined;
}

async function vectorView(value: TargetValue, struct: StructType): Promise<RustView | undefined> {
  const element = struct.parameters?.get('T');
  const count = await value.member('len')?.unsigned();
  const buffer = value.member('buf');
  const pointer = buffer && firstPointer(buffer, 0);
  if (element === undefined || pointer === undefined || count === undefined || count > MAX_COUNT)
    return undefined;
  return sequence(await pointer.unsigned(), Number(count), element);
}

/**
 * A ring: `head` and `len`; until Rust 1.66 `tail` and `head`, the first element and the one after the last.
 */
async function dequeView(value: TargetValue, struct: StructType): Promise<RustView | undefined> {
  const element = struct.parameters?.get('T');
  const buffer = value.member('buf');
  const pointer = buffer && firstPointer(buffer, 0);
  const capacity = await (buffer && fieldNamed(buffer, 'cap', 0))?.unsigned();
  const head = await value.member('head')?.unsigned();
  if (element === undefined || pointer === undefined || capacity === undefined || head === undefined)
    return undefined;
  const tail = await value.member('tail')?.unsigned();
  const room = Number(capacity);
  const first = Number(tail ?? head);
  const count = Number(
    (await value.member('len')?.unsigned()) ?? (Number(head) - first + room) % (room || 1),
  );
  if (room > MAX_COUNT || count > room || first > room) return undefined;
  const { addressOf } = sequence(await pointer.unsigned(), room, element);
  return { kind: 'sequence', count, element, addressOf: (index) => addressOf((first + index) % room) };
}

/** Both point to a structure of the two counts and the value. */
async function sharedView(value: TargetValue): Promise<RustView | undefined> {
  const pointer = firstPointer(value, 0);
  if (pointer === undefined) return undefined;
  const inner = await pointer.dereference();
  const box = inner.as(inner.type, pointer.expression);
  const shared = box.member('value') ?? box.member('data');
  if (shared === undefined) return undefined;
  const counts = ['strong', 'weak'].flatMap((name) => {
    const counter = box.member(name);
    const scalar = counter && firstScalar(counter, 0);
    return scalar === undefined ? [] : [{ name, value: scalar }];
  });
  return { kind: 'shared', value: shared, counts };
}

/** RawVec keeps its pointer inside Unique inside NonNull, however deep this release has it. */
function firstPointer(value: TargetValue, depth: number): TargetValue | undefined {
  return firstField(value, depth, ({ bare }) => bare.kind === 'pointer');
}

function firstScalar(value: TargetValue, depth: number): TargetValue | undefined {
  return firstField(value, depth, ({ bare }) => bare.kind === 'base');
}

function firstField(
  value: TargetValue,
  depth: number,
  isWanted: (value: TargetValue) => boolean,
): TargetValue | undefined {
  if (isWanted(value)) return value;
  const { bare } = value;
  if (bare.kind !== 'struct' || depth > MAX_DEPTH) return undefined;
  for (const field of flatMembers(bare)) {
    const found = firstField(value.part(field), depth + 1, isWanted);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** A field of that name, however deep. A number with a niche is a structure around a number. */
function fieldNamed(value: TargetValue, name: string, depth: number): TargetValue | undefined {
  const { bare } = value;
  if (bare.kind !== 'struct' || depth > MAX_DEPTH) return undefined;
  const own = value.member(name);
  if (own !== undefined) return firstScalar(own, 0);
  for (const field of flatMembers(bare)) {
    const found = fieldNamed(value.part(field), name, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

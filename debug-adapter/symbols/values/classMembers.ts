/**
 * Members as the language finds them: in base classes, virtual ones included, in the active case of a Rust
 * enum, among a class's statics.
 */
import { DwarfError } from '../../dwarf/dwarfError.ts';
import { type ExpressionContext, evaluateValue } from '../../dwarf/expression.ts';
import { QueryError } from '../base/queryError.ts';
import { flatMembers } from '../types/flatMembers.ts';
import { scopeOfName, splitPath } from '../types/qualifiedNames.ts';
import { type Member, type StructType, type Type, sizeOf, strip, typeName } from '../types/type.ts';
import { activeMembers } from './activeMembers.ts';
import { memberExpression } from './expressionText.ts';
import { rustMember } from './rustValue.ts';
import { type NamedPart, type Place, TargetValue, type ValueWorld, placeAt } from './targetValue.ts';

/** No class is derived this deep; broken debug information may derive one from itself. */
const MAX_DEPTH = 32;
const MAX_BASES = 1000;

/**
 * The member of that name, of the value's own type or of a base. `Base::name` says which. Undefined when
 * there is none.
 */
export async function findMember(value: TargetValue, name: string): Promise<TargetValue | undefined> {
  const { bare } = value;
  if (bare.kind !== 'struct') return undefined;
  const scope = scopeOfName(name);
  if (scope !== undefined) {
    const base = await asBase(value, (type) => isNamed(type, scope));
    return base && findMember(base, splitPath(name).at(-1) ?? name);
  }
  const own =
    value.member(name) ??
    (await rustMember(value, name)) ??
    (await variantMember(value, bare, name)) ??
    (await staticMember(value, bare, name));
  if (own !== undefined) return own;
  const path = basePath(bare, (base) => hasOwn(base, name));
  const base = path && (await followed(value, path));
  const found = base && (await findMember(base, name));
  return found && renamed(found, memberExpression(value.expression, '.', name));
}

/** The part of a value that is a base class; the value itself when it has that type. */
export async function asBase(
  value: TargetValue,
  isWanted: (type: StructType) => boolean,
): Promise<TargetValue | undefined> {
  const { bare } = value;
  if (bare.kind !== 'struct') return undefined;
  if (isWanted(bare)) return value;
  const path = basePath(bare, isWanted);
  return path && followed(value, path);
}

/**
 * The offset of a base in `derived`; undefined when it is not a base, or a virtual one, whose place is not
 * fixed.
 */
export function fixedBaseOffset(derived: StructType, base: Type): number | undefined {
  const wanted = typeName(base);
  const path = basePath(derived, (type) => typeName(type) === wanted);
  if (path?.some(({ virtualOffset }) => virtualOffset !== undefined) !== false) return undefined;
  return path.reduce((sum, { offsetBytes }) => sum + offsetBytes, 0);
}

/** From a class to the nearest base that is wanted: breadth first, as the language hides names. */
function basePath(from: StructType, isWanted: (type: StructType) => boolean): Member[] | undefined {
  let level: { type: StructType; path: Member[] }[] = [{ type: from, path: [] }];
  for (let depth = 0, seen = 0; depth < MAX_DEPTH && seen < MAX_BASES; depth++) {
    const next: typeof level = [];
    for (const { type, path } of level) {
      for (const member of type.members) {
        const base = member.isBase ? strip(member.type) : undefined;
        if (base?.kind !== 'struct' || ++seen > MAX_BASES) continue;
        const longer = [...path, member];
        if (isWanted(base)) return longer;
        next.push({ type: base, path: longer });
      }
    }
    level = next;
  }
  return undefined;
}

async function followed(value: TargetValue, path: readonly Member[]): Promise<TargetValue> {
  let at = value;
  for (const base of path) at = await partAt(at, base);
  return at;
}

function hasOwn(struct: StructType, name: string): boolean {
  return (
    flatMembers(struct).some((member) => member.name === name) ||
    struct.statics?.some((one) => one.name === name) === true
  );
}

/** `Shape` for `outer::Shape` too: a base is named as inside its class. */
function isNamed(type: StructType, name: string): boolean {
  return type.name === name || (type.name !== undefined && splitPath(type.name).at(-1) === name);
}

/** Only of the cases the object is: the others currently have no such member. */
async function variantMember(
  value: TargetValue,
  { variantParts = [] }: StructType,
  name: string,
): Promise<TargetValue | undefined> {
  const found = (await activeMembers(value, variantParts)).find((member) => member.name === name);
  return found && partAt(value, found);
}

async function staticMember(
  value: TargetValue,
  struct: StructType,
  name: string,
): Promise<TargetValue | undefined> {
  const found = struct.statics?.find((one) => one.name === name);
  return found && value.world.entry?.(found.die, `${typeName(struct)}::${name}`);
}

/** Rows for the statics of a class, which have names and places of their own. */
export async function staticMembers(value: TargetValue, struct: StructType): Promise<NamedPart[]> {
  const rows: NamedPart[] = [];
  for (const { name, die } of struct.statics ?? []) {
    const found = await value.world.entry?.(die, `${typeName(struct)}::${name}`);
    if (found !== undefined) rows.push({ name, value: found, role: 'static' });
  }
  return rows;
}

/** Any member of a structure, those of virtual bases included. */
export async function partAt(owner: TargetValue, member: Member): Promise<TargetValue> {
  return owner.part(member, await memberPlace(owner, member));
}

/**
 * Where a member is. A bit-field is where its structure is; a virtual base says in the object how far away it
 * is (§5.7.3).
 */
export async function memberPlace(owner: TargetValue, member: Member): Promise<Place> {
  const { place, world } = owner;
  if (member.virtualOffset === undefined)
    return member.isBase ? placeAt(place, member.offsetBytes, sizeOf(member.type) ?? 0) : place;
  if (place.kind !== 'memory') return { kind: 'missing', reason: 'virtual base of an object not in memory' };
  try {
    const { bits } = await evaluateValue(member.virtualOffset, objectContext(world), [place.address]);
    return { kind: 'memory', address: bits };
  } catch (error) {
    if (!(error instanceof DwarfError)) throw error;
    return { kind: 'missing', reason: 'virtual base cannot be found' };
  }
}

/** An object's layout asks for nothing but memory. */
function objectContext(world: ValueWorld): ExpressionContext {
  return {
    addressSize: world.addressSize,
    littleEndian: world.littleEndian,
    is64: false,
    version: 5,
    relocate: (address) => address,
    register: () => undefined,
    memory: (address, lengthBytes) => world.read(address, lengthBytes),
  };
}

function renamed(value: TargetValue, expression: string): TargetValue {
  return new TargetValue(value.type, value.place, value.world, expression, value.bits);
}

/**
 * What a pointer to member means for an object: the member, or for a function its entry. Itanium C++ ABI
 * §2.3: data is an offset, -1 for null; a function is its address, or one more than its offset in the table
 * of virtual functions, and what to add to `this`.
 */
export async function memberOf(object: TargetValue, pointer: TargetValue): Promise<TargetValue> {
  const { bare } = pointer;
  if (bare.kind !== 'memberPointer') throw new QueryError(`${pointer.typeName} is not a pointer to a member`);
  const owner = strip(bare.owner);
  const wanted = typeName(owner);
  const base = await asBase(object, (type) => typeName(type) === wanted);
  if (base === undefined) throw new QueryError(`${object.typeName} is not a ${wanted}`);
  const expression = `${object.expression}.*${pointer.expression}`;
  const target = strip(bare.target);
  if (target.kind !== 'function') {
    const offset = BigInt.asIntN(8 * bare.sizeBytes, await pointer.unsigned());
    if (offset < 0n) throw new QueryError('a null pointer to a member');
    const place = placeAt(base.place, Number(offset), sizeOf(target) ?? 0);
    return new TargetValue(bare.target, place, object.world, expression);
  }
  const { address, tableOffset, adjustment } = await memberFunction(pointer);
  if (tableOffset === undefined)
    return new TargetValue(target, { kind: 'memory', address }, object.world, expression);
  if (base.address === undefined) throw new QueryError(`${object.expression} is not in memory`);
  const word = pointerType();
  const table = new TargetValue(
    word,
    { kind: 'memory', address: BigInt.asUintN(64, base.address + adjustment) },
    object.world,
    '',
  );
  const slot = (await table.unsigned()) + tableOffset;
  const entry = await new TargetValue(word, { kind: 'memory', address: slot }, object.world, '').unsigned();
  return new TargetValue(target, { kind: 'memory', address: entry }, object.world, expression);

  function pointerType(): Type {
    return { kind: 'pointer', sigil: '*', sizeBytes: object.world.addressSize, target };
  }
}

interface MemberFunction {
  /** 0 for a null pointer. */
  readonly address: bigint;
  /** Of a virtual function: its place in the table of them. */
  readonly tableOffset: bigint | undefined;
  /** Added to `this`. */
  readonly adjustment: bigint;
}

export async function memberFunction(pointer: TargetValue): Promise<MemberFunction> {
  const { addressSize } = pointer.world;
  const bits = await pointer.unsigned();
  const width = 8 * addressSize;
  const [low, high] = [BigInt.asUintN(width, bits), BigInt.asIntN(width, bits >> BigInt(width))];
  const [address, adjustment] = pointer.world.littleEndian
    ? [low, high]
    : [BigInt.asUintN(width, high), BigInt.asIntN(width, low)];
  const isVirtual = (address & 1n) === 1n;
  return { address: isVirtual ? 0n : address, tableOffset: isVirtual ? address - 1n : undefined, adjustment };
}

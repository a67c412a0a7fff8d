/**
 * Pointers to members of C++ classes as the language writes them: `&Point::y`, `&virtual Shape::size`,
 * `NULL`.
 */
import { DW_AT, DW_TAG } from '../../dwarf/constants.ts';
import { DW_OP } from '../../dwarf/operators.ts';
import { flatMembers } from '../types/flatMembers.ts';
import { type Type, strip, typeName } from '../types/type.ts';
import { childrenOf } from '../units/dieTree.ts';
import { memberFunction } from './classMembers.ts';
import { pointerText } from './formatScalar.ts';
import type { TargetValue } from './targetValue.ts';

export async function memberPointerText(value: TargetValue): Promise<string> {
  const { bare } = value;
  if (bare.kind !== 'memberPointer') return '';
  const owner = strip(bare.owner);
  if (strip(bare.target).kind === 'function') return functionText(value, owner);
  const offset = BigInt.asIntN(8 * bare.sizeBytes, await value.unsigned());
  if (offset === -1n) return 'NULL';
  const members = owner.kind === 'struct' ? flatMembers(owner) : [];
  const wanted = typeName(strip(bare.target));
  const at = members.filter(({ offsetBytes, bits }) => BigInt(offsetBytes) === offset && bits === undefined);
  const member = at.find(({ type }) => typeName(strip(type)) === wanted) ?? at[0];
  return member?.name === undefined ? `${offset}` : `&${typeName(owner)}::${member.name}`;
}

async function functionText(value: TargetValue, type: Type): Promise<string> {
  const owner = typeName(type);
  const { address, tableOffset, adjustment } = await memberFunction(value);
  const adjusted = adjustment === 0n ? '' : `, this adjustment ${adjustment}`;
  if (tableOffset !== undefined) {
    const slot = Number(tableOffset) / value.world.addressSize;
    return `&virtual ${owner}::${virtualName(type, slot) ?? `<slot ${slot}>`}${adjusted}`;
  }
  return address === 0n ? 'NULL' : `${pointerText(value, address)}${adjusted}`;
}

/**
 * The function that a class, or a base of it, has at that place of its table (§5.7.8: DW_OP_constu and the
 * number).
 */
function virtualName(type: Type, slot: number): string | undefined {
  if (type.kind !== 'struct') return undefined;
  for (const child of type.die === undefined ? [] : childrenOf(type.die)) {
    const location = child.tag === DW_TAG.subprogram ? child.block(DW_AT.vtable_elem_location) : undefined;
    if (location?.[0] === DW_OP.constu && location[1] === slot) return child.string(DW_AT.name);
  }
  const bases = type.members.filter(({ isBase }) => isBase);
  return bases.map((base) => virtualName(strip(base.type), slot)).find((name) => name !== undefined);
}

/** Where the ABI allows values of a type to begin. */
import { DW_ATE } from '../../dwarf/constants.ts';
import { type Type, sizeOf, strip } from './type.ts';

/** System V ABI of x86-64 §3.1.2: what is scalar by its size. Undefined for what has no size. */
export function alignOf(type: Type, depth = 0): number | undefined {
  const bare = strip(type);
  if (depth > 64) return undefined;
  switch (bare.kind) {
    case 'array':
      return bare.isVector === true ? sizeOf(bare) : alignOf(bare.element, depth + 1);
    case 'struct':
      if (bare.incomplete) return undefined;
      return Math.max(1, ...bare.members.map((member) => alignOf(member.type, depth + 1) ?? 1));
    case 'memberPointer':
      return strip(bare.target).kind === 'function' ? bare.sizeBytes / 2 : bare.sizeBytes;
    case 'base':
      return bare.encoding === DW_ATE.complex_float ? bare.sizeBytes / 2 : bare.sizeBytes;
    default:
      return sizeOf(bare);
  }
}

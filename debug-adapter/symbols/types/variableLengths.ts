/**
 * Types whose arrays have lengths that a frame computes: C's variable length arrays, also behind pointers and
 * typedefs.
 */
import type { Die } from '../../dwarf/unit.ts';
import type { Dimension } from './arrayBounds.ts';
import type { Type } from './type.ts';

const MAX_LAYERS = 64;

/** The type with every bound in it computed; the same object when there is none. */
export async function withBounds(
  type: Type,
  dimension: (bound: Die) => Promise<Dimension>,
  depth = 0,
): Promise<Type> {
  if (depth > MAX_LAYERS) return type;
  switch (type.kind) {
    case 'array': {
      const element = await withBounds(type.element, dimension, depth + 1);
      if (type.bound === undefined) return element === type.element ? type : { ...type, element };
      return { ...type, element, bound: undefined, ...(await dimension(type.bound)) };
    }
    case 'alias':
    case 'qualified': {
      const target = await withBounds(type.target, dimension, depth + 1);
      return target === type.target ? type : { ...type, target };
    }
    case 'pointer': {
      // Only arrays: anything else it points to may lead back here, and is resolved when it is reached.
      if (type.target.kind !== 'array') return type;
      const target = await withBounds(type.target, dimension, depth + 1);
      return target === type.target ? type : { ...type, target };
    }
    default:
      return type;
  }
}

/** Walking entries: the children of one, each an object of its own. For scanning whole units see unitFunctions.ts. */
import type { Die } from '../dwarf/die.ts';
import { skipTree } from './unitFunctions.ts';

const MAX_CHILDREN = 1_000_000;

/** A list that breaks in the middle ends there, and the file hears of it. */
export function* childrenOf(parent: Die): Generator<Die> {
  if (!parent.hasChildren) return;
  const { unit } = parent;
  const { endOffset } = unit.header;
  try {
    let offset = parent.nextOffset;
    for (let count = 0; offset < endOffset && count < MAX_CHILDREN; count++) {
      const child = unit.die(offset);
      if (child.tag === 0) return;
      // Found before the child is handed out, because its user may move nothing but may also never come back.
      offset = child.hasChildren ? skipTree(unit.die(offset), offset, endOffset) : child.nextOffset;
      yield child;
    }
  } catch (error) {
    unit.file.report(error);
  }
}

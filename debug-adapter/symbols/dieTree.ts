/** Walking entries: the children of one, each an object of its own. For scanning whole units see unitFunctions.ts. */
import { DW_AT, DW_TAG } from '../dwarf/constants.ts';
import type { Die } from '../dwarf/die.ts';
import { originChain, skipTree } from './unitFunctions.ts';

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

/**
 * Variables of a function or block. Of a block without code (the optimiser's leavings) they count as those of what is around it.
 * Last come those that the optimiser removed from this copy: they are still in the entry it is a copy of (§3.3.8.2).
 */
export function* variablesOf(parent: Die): Generator<Die> {
  const copied = new Set<number>();
  for (const child of childrenOf(parent)) {
    yield* variablesIn(child);
    for (const { offset } of originChain(child)) copied.add(offset);
  }
  const origin = parent.ref(DW_AT.abstract_origin);
  if (origin === undefined) return;
  for (const child of childrenOf(origin)) if (!copied.has(child.offset)) yield* variablesIn(child);
}

function* variablesIn(die: Die): Generator<Die> {
  if (die.tag === DW_TAG.formal_parameter || die.tag === DW_TAG.variable) yield die;
  const isBlock = die.tag === DW_TAG.lexical_block;
  if (isBlock && !die.has(DW_AT.low_pc) && !die.has(DW_AT.ranges)) yield* variablesOf(die);
}

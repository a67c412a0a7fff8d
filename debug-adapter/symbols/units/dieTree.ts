/**
 * Walking entries: the children of one, each an object of its own. For scanning whole units see
 * unitFunctions.ts.
 */
import { DW_AT, DW_TAG } from '../../dwarf/constants.ts';
import type { Die } from '../../dwarf/unit.ts';
import { originChain, skipTree } from './unitFunctions.ts';

const MAX_CHILDREN = 1_000_000;

/** A list that is broken in the middle ends there, and that is reported to the file. */
export function* childrenOf(parent: Die): Generator<Die> {
  if (!parent.hasChildren) return;
  const { unit } = parent;
  const { endOffset } = unit.header;
  try {
    let offset = parent.nextOffset;
    for (let count = 0; offset < endOffset && count < MAX_CHILDREN; count++) {
      const child = unit.die(offset);
      if (child.tag === 0) return;
      // Found before the child is handed out, because the consumer may never resume.
      offset = child.hasChildren ? skipTree(unit.die(offset), offset, endOffset) : child.nextOffset;
      yield child;
    }
  } catch (error) {
    unit.file.report(error);
  }
}

/**
 * Variables of a function or block. Those of a block without code (an optimiser leftover) belong to what is
 * around it. Last come those that the optimiser removed from this copy: they are still in the entry it is a
 * copy of (§3.3.8.2).
 */
export function* variablesOf(parent: Die): Generator<Die> {
  const copied = new Set<string>();
  const inBlocks = new Set<string>();
  for (const child of childrenOf(parent)) {
    yield* variablesIn(child);
    for (const original of originChain(child)) copied.add(keyOf(original));
    // Not every compiler says what a block is a copy of; all say it for the variables in it.
    if (child.tag === DW_TAG.lexical_block && !child.has(DW_AT.abstract_origin)) addOrigins(child, inBlocks);
  }
  const origin = parent.ref(DW_AT.abstract_origin);
  if (origin === undefined) return;
  for (const die of notCopied(origin, copied)) {
    const hasPlace = die.has(DW_AT.location) || die.has(DW_AT.const_value);
    if (hasPlace || !inBlocks.has(keyOf(die))) yield die;
  }
}

function addOrigins(block: Die, origins: Set<string>): void {
  for (const child of childrenOf(block)) {
    for (const original of originChain(child)) origins.add(keyOf(original));
    if (child.tag === DW_TAG.lexical_block) addOrigins(child, origins);
  }
}

/** Variables of the abstract function or block, and of the blocks in it. */
function* notCopied(parent: Die, copied: ReadonlySet<string>): Generator<Die> {
  for (const child of childrenOf(parent)) {
    if (copied.has(keyOf(child))) continue;
    if (isVariable(child)) yield child;
    if (child.tag === DW_TAG.lexical_block) yield* notCopied(child, copied);
  }
}

/** The original may be in another file (dwz -m). */
function keyOf({ unit, offset }: Die): string {
  return `${unit.file.id}+${offset}`;
}

function isVariable({ tag }: Die): boolean {
  return tag === DW_TAG.formal_parameter || tag === DW_TAG.variable;
}

function* variablesIn(die: Die): Generator<Die> {
  if (isVariable(die)) yield die;
  const isBlock = die.tag === DW_TAG.lexical_block;
  if (isBlock && !die.has(DW_AT.low_pc) && !die.has(DW_AT.ranges)) yield* variablesOf(die);
}

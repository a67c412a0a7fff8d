/**
 * Call sites: what a caller knows about the arguments it passed. DWARF 5 §3.4, and GNU's tags for it in version 4. Lets a debugger
 * say what a parameter was when its function was entered, after the function has overwritten it.
 */
import { DW_AT, DW_TAG } from '../dwarf/constants.ts';
import type { Die } from '../dwarf/die.ts';
import type { Unit } from '../dwarf/unit.ts';
import { childrenOf } from './dieTree.ts';
import { type FunctionNode, originChain } from './unitFunctions.ts';

export interface EntryValue {
  /** The expression to evaluate in the caller's frame. */
  readonly value: Uint8Array;
  readonly unit: Unit;
}

/**
 * What `caller`, returning to `returnAddress`, passed in the place `expression` names to `callee`. Undefined when the site does not
 * say, or called another function: then a tail call led here and the argument was somebody else's.
 */
export function entryValueOf(
  caller: FunctionNode,
  returnAddress: number,
  expression: Uint8Array,
  callee: FunctionNode,
): EntryValue | undefined {
  const site = findSite(caller.unit.die(caller.dieOffset), returnAddress, 0);
  if (site === undefined || !mayCall(site, callee)) return undefined;
  for (const parameter of childrenOf(site)) {
    if (parameter.tag !== DW_TAG.call_site_parameter && parameter.tag !== DW_TAG.GNU_call_site_parameter)
      continue;
    const place = parameter.block(DW_AT.location);
    if (place === undefined || !sameBytes(place, expression)) continue;
    const value = parameter.block(DW_AT.call_value) ?? parameter.block(DW_AT.GNU_call_site_value);
    return value && { value, unit: site.unit };
  }
  return undefined;
}

/** Call sites sit in the function, its blocks and the functions inlined into it. */
function findSite(parent: Die, returnAddress: number, depth: number): Die | undefined {
  if (depth > 64) return undefined;
  for (const die of childrenOf(parent)) {
    switch (die.tag) {
      case DW_TAG.call_site:
        if (die.address(DW_AT.call_return_pc) === returnAddress) return die;
        break;
      case DW_TAG.GNU_call_site:
        if (die.address(DW_AT.low_pc) === returnAddress) return die;
        break;
      case DW_TAG.lexical_block:
      case DW_TAG.inlined_subroutine: {
        const site = findSite(die, returnAddress, depth + 1);
        if (site !== undefined) return site;
        break;
      }
    }
  }
  return undefined;
}

function mayCall(site: Die, callee: FunctionNode): boolean {
  const target = site.ref(DW_AT.call_origin) ?? site.ref(DW_AT.abstract_origin);
  if (target === undefined) return true; // an indirect call
  const name = (die: Die): string | undefined =>
    originChain(die)
      .find((candidate) => candidate.has(DW_AT.name))
      ?.string(DW_AT.name);
  return name(target) === name(callee.unit.die(callee.dieOffset));
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

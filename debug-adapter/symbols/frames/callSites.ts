/**
 * Call sites: what a caller knows about the arguments it passed. DWARF 5 §3.4, and GNU's tags for it in
 * version 4. They tell a debugger what a parameter was on entry to its function, after the function has
 * overwritten it.
 */
import { DW_AT, DW_TAG } from '../../dwarf/constants.ts';
import { DW_OP } from '../../dwarf/operators.ts';
import type { Die, Unit } from '../../dwarf/unit.ts';
import { childrenOf } from '../units/dieTree.ts';
import { type FunctionNode, originChain } from '../units/unitFunctions.ts';

export interface CallSite {
  readonly die: Die;
  readonly unit: Unit;
  /** The name of the function called, when the compiler knew. */
  readonly callee: string | undefined;
  /** Computes the called address, when only that is known: evaluated in the caller's frame. */
  readonly target: Uint8Array | undefined;
}

/** The call of `caller` that returns to an address. */
export function callSiteAt(caller: FunctionNode, returnAddress: number): CallSite | undefined {
  const die = findSite(caller.unit.die(caller.dieOffset), returnAddress, 0);
  if (die === undefined) return undefined;
  const callee = die.ref(DW_AT.call_origin) ?? die.ref(DW_AT.abstract_origin);
  const target = die.block(DW_AT.call_target) ?? die.block(DW_AT.GNU_call_site_target);
  return { die, unit: die.unit, callee: callee && plainNameOf(callee), target };
}

/**
 * The expression, for the caller's frame, of what a call passed in the place `expression` names: a register,
 * or what a register points at (`DW_OP_breg5 0, DW_OP_deref`).
 */
export function passedIn(site: CallSite, expression: Uint8Array): Uint8Array | undefined {
  const pointer = registerPointedAt(expression);
  for (const parameter of parametersOf(site)) {
    const place = parameter.block(DW_AT.location);
    if (place === undefined) continue;
    if (sameBytes(place, expression))
      return parameter.block(DW_AT.call_value) ?? parameter.block(DW_AT.GNU_call_site_value);
    if (pointer !== undefined && place.length === 1 && place[0] === DW_OP.reg0 + pointer)
      return parameter.block(DW_AT.call_data_value) ?? parameter.block(DW_AT.GNU_call_site_data_value);
  }
  return undefined;
}

/** What a call passed for a parameter that the optimiser removed from the function called. */
export function passedFor(site: CallSite, formal: Die): Uint8Array | undefined {
  const wanted = originChain(formal);
  for (const parameter of parametersOf(site)) {
    const named = parameter.ref(DW_AT.call_parameter) ?? parameter.ref(DW_AT.abstract_origin);
    if (named === undefined) continue;
    const isWanted = originChain(named).some((one) =>
      wanted.some((it) => it.offset === one.offset && it.unit === one.unit),
    );
    if (isWanted) return parameter.block(DW_AT.call_value) ?? parameter.block(DW_AT.GNU_call_site_value);
  }
  return undefined;
}

function parametersOf(site: CallSite): Die[] {
  return [...childrenOf(site.die)].filter(
    ({ tag }) => tag === DW_TAG.call_site_parameter || tag === DW_TAG.GNU_call_site_parameter,
  );
}

/** Of `DW_OP_bregN 0, DW_OP_deref` or the same with a size. */
function registerPointedAt(expression: Uint8Array): number | undefined {
  const [operator = 0, offset, load] = expression;
  const isBreg = operator >= DW_OP.breg0 && operator < DW_OP.breg0 + 32;
  const isLoad = load === DW_OP.deref || load === DW_OP.deref_size;
  return isBreg && offset === 0 && isLoad ? operator - DW_OP.breg0 : undefined;
}

/** Whether a function may tail-call itself: what it was entered with is then not what its caller passed. */
export function tailCallsItself(node: FunctionNode): boolean {
  const own = plainNameOf(node.unit.die(node.dieOffset));
  return hasTailCallTo(node.unit.die(node.dieOffset), own, 0);
}

function hasTailCallTo(parent: Die, name: string | undefined, depth: number): boolean {
  if (depth > 64) return false;
  for (const die of childrenOf(parent)) {
    if (die.tag === DW_TAG.call_site || die.tag === DW_TAG.GNU_call_site) {
      if (!die.flag(DW_AT.call_tail_call) && !die.flag(DW_AT.GNU_tail_call)) continue;
      const callee = die.ref(DW_AT.call_origin) ?? die.ref(DW_AT.abstract_origin);
      if (callee === undefined || plainNameOf(callee) === name) return true;
    } else if (die.tag === DW_TAG.lexical_block || die.tag === DW_TAG.inlined_subroutine) {
      if (hasTailCallTo(die, name, depth + 1)) return true;
    }
  }
  return false;
}

/** The name of an entry or of what it is an instance of; undefined also when it cannot be read. */
export function plainNameOf(die: Die): string | undefined {
  try {
    return originChain(die)
      .find((candidate) => candidate.has(DW_AT.name))
      ?.string(DW_AT.name);
  } catch (error) {
    die.unit.file.report(error);
    return undefined;
  }
}

/** Call sites are in the function, its blocks and the functions inlined into it. */
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

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

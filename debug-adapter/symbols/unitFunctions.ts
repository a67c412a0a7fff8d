/**
 * The functions of one unit and the functions inlined into them, as a tree with code ranges; found by one pass over the unit's
 * entries that decodes nothing else. DWARF 5 §3.3.
 */
import type { Range } from '../dwarf/address.ts';
import { DW_AT, DW_LANG, DW_TAG } from '../dwarf/constants.ts';
import { Die } from '../dwarf/die.ts';
import { DwarfError } from '../dwarf/dwarfError.ts';
import { rangesOf } from '../dwarf/ranges.ts';
import type { Unit } from '../dwarf/unit.ts';

/** A function proper, an inlined copy of one, or a block with variables of its own inside either. */
export type NodeKind = 'function' | 'inlined' | 'block';

export interface FunctionNode {
  readonly unit: Unit;
  /** Of the subprogram, inlined_subroutine or lexical_block entry. */
  readonly dieOffset: number;
  readonly kind: NodeKind;
  readonly ranges: readonly Range[];
  readonly parent: FunctionNode | undefined;
  readonly children: FunctionNode[];
}

/** A namespace or class around functions. */
interface Scope {
  readonly dieOffset: number;
  readonly parent: Scope | undefined;
}

interface TopRange extends Range {
  readonly node: FunctionNode;
}

const MAX_HOPS = 16;

const KINDS: ReadonlyMap<number, NodeKind> = new Map([
  [DW_TAG.inlined_subroutine, 'inlined'],
  [DW_TAG.lexical_block, 'block'],
]);

export class UnitFunctions {
  readonly unit: Unit;
  /** Functions proper, in the unit's order. */
  readonly functions: FunctionNode[] = [];
  /** The number of nodes, for the cache that holds this. */
  nodeCount = 0;
  private readonly topRanges: TopRange[] = [];
  private readonly scopes = new Map<number, Scope>();
  private readonly names = new Map<number, string | undefined>();

  /** A unit that breaks in the middle keeps what came before. */
  constructor(unit: Unit, isCode: (address: number) => boolean) {
    this.unit = unit;
    try {
      this.scan(isCode);
    } catch (error) {
      unit.file.report(error);
    }
    this.topRanges.sort((a, b) => a.start - b.start);
  }

  /** The function whose code contains the address, with the range that does. */
  at(address: number): TopRange | undefined {
    const { topRanges } = this;
    let low = 0;
    let high = topRanges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((topRanges[middle] as TopRange).start <= address) low = middle + 1;
      else high = middle;
    }
    // Ranges of different functions do not nest, but a broken one may reach over those after it: the nearest that fits wins.
    for (let at = low - 1; at >= 0 && at >= low - 8; at--) {
      const range = topRanges[at] as TopRange;
      if (address < range.end) return range;
    }
    return undefined;
  }

  /** The functions around an address, outermost (the function proper) first. */
  chainAt(address: number): FunctionNode[] {
    return this.nodesAt(address).filter(({ kind }) => kind !== 'block');
  }

  /** As chainAt, with the blocks between. */
  nodesAt(address: number): FunctionNode[] {
    const chain: FunctionNode[] = [];
    let node = this.at(address)?.node;
    while (node !== undefined) {
      chain.push(node);
      node = node.children.find(({ ranges }) => containing(ranges, address) !== undefined);
    }
    return chain;
  }

  /** Inlined copies of the function of that name. */
  *inlinedNamed(name: string): Generator<FunctionNode> {
    const open = [...this.functions];
    for (let node = open.pop(); node !== undefined; node = open.pop()) {
      if (node.kind === 'inlined' && this.nameOf(node) === name) yield node;
      open.push(...node.children);
    }
  }

  /** The name as its programmer wrote it, with namespaces and classes. */
  nameOf(node: FunctionNode): string | undefined {
    if (!this.names.has(node.dieOffset)) this.names.set(node.dieOffset, this.findName(node));
    return this.names.get(node.dieOffset);
  }

  /** The first of an entry and the entries it is an instance or completion of (§3.3.8.2, §3.3.8) that has the attribute. */
  originWith(node: FunctionNode, attribute: number): Die | undefined {
    return originChain(this.unit.die(node.dieOffset)).find((die) => die.has(attribute));
  }

  private findName(node: FunctionNode): string | undefined {
    try {
      const chain = originChain(this.unit.die(node.dieOffset));
      const name = chain.find((die) => die.has(DW_AT.name))?.string(DW_AT.name);
      if (name === undefined)
        return chain.find((die) => die.has(DW_AT.linkage_name))?.string(DW_AT.linkage_name);
      const scope = chain.map((die) => this.scopes.get(die.offset)).find((found) => found !== undefined);
      return [...this.scopeNames(scope), name].join('::');
    } catch (error) {
      this.unit.file.report(error);
      return undefined;
    }
  }

  private scopeNames(scope: Scope | undefined): string[] {
    const names: string[] = [];
    for (let at = scope; at !== undefined; at = at.parent) {
      const die = this.unit.die(at.dieOffset);
      const name =
        die.string(DW_AT.name) ?? (die.tag === DW_TAG.namespace ? '(anonymous namespace)' : undefined);
      if (name !== undefined) names.unshift(name);
    }
    return names;
  }

  private scan(isCode: (address: number) => boolean): void {
    const { unit } = this;
    const { endOffset, entriesOffset } = unit.header;
    const die = new Die(unit, unit.reader());
    const enterTypes = mayNestFunctions(unit.root.language);
    /** What encloses the entries of each open level. */
    const levels: { node: FunctionNode | undefined; scope: Scope | undefined }[] = [];
    let offset = entriesOffset;
    while (offset < endOffset) {
      if (!die.moveTo(offset)) {
        offset = die.nextOffset;
        levels.pop();
        if (levels.length === 0) break;
        continue;
      }
      const level = levels.at(-1);
      const { tag, hasChildren } = die;
      let { node, scope } = level ?? { node: undefined, scope: undefined };
      let enter = hasChildren;
      switch (tag) {
        case DW_TAG.subprogram:
        case DW_TAG.inlined_subroutine: {
          if (scope !== undefined) this.scopes.set(offset, scope);
          const created = this.addNode(die, offset, node, isCode);
          enter = hasChildren && created !== undefined;
          node = created;
          break;
        }
        case DW_TAG.lexical_block:
          // A block without code of its own (abstract, or left by the optimiser) still has children that have some.
          if (hasChildren && node !== undefined) node = this.addNode(die, offset, node, isCode) ?? node;
          break;
        case DW_TAG.compile_unit:
        case DW_TAG.partial_unit:
        case DW_TAG.skeleton_unit:
        case DW_TAG.try_block:
        case DW_TAG.catch_block:
        case DW_TAG.with_stmt:
        case DW_TAG.module:
          break;
        case DW_TAG.namespace:
          scope = { dieOffset: offset, parent: scope };
          break;
        case DW_TAG.class_type:
        case DW_TAG.structure_type:
        case DW_TAG.union_type:
        case DW_TAG.enumeration_type:
        case DW_TAG.interface_type:
          enter = hasChildren && enterTypes;
          scope = { dieOffset: offset, parent: scope };
          break;
        default:
          enter = false;
      }
      if (!hasChildren) {
        offset = die.nextOffset;
        if (levels.length === 0) break;
      } else if (enter) {
        levels.push({ node, scope });
        offset = die.nextOffset;
      } else {
        offset = skipTree(die, offset, endOffset);
      }
    }
  }

  private addNode(
    die: Die,
    dieOffset: number,
    parent: FunctionNode | undefined,
    isCode: (address: number) => boolean,
  ): FunctionNode | undefined {
    const kind = KINDS.get(die.tag) ?? 'function';
    const ranges = rangesOf(die).filter(({ start }) => isCode(start));
    if (ranges.length === 0) return undefined;
    // A nested function (GNU C, Ada) is a function of its own, not a part of its parent.
    const enclosing = kind === 'function' ? undefined : parent;
    const node: FunctionNode = { unit: this.unit, dieOffset, kind, ranges, parent: enclosing, children: [] };
    this.nodeCount++;
    if (enclosing !== undefined) enclosing.children.push(node);
    else {
      this.functions.push(node);
      for (const range of ranges) this.topRanges.push({ ...range, node });
    }
    return node;
  }
}

/** An entry followed by its DW_AT_abstract_origin or DW_AT_specification, and so on. */
export function originChain(die: Die): Die[] {
  const chain = [die];
  for (let hops = 0; hops < MAX_HOPS; hops++) {
    const last = chain.at(-1) as Die;
    const next = last.ref(DW_AT.abstract_origin) ?? last.ref(DW_AT.specification);
    if (next === undefined || next.tag === 0) break;
    chain.push(next);
  }
  return chain;
}

export function containing(ranges: readonly Range[], address: number): Range | undefined {
  return ranges.find(({ start, end }) => address >= start && address < end);
}

/** The offset after an entry and all its children. Leaves `die` somewhere else. */
export function skipTree(die: Die, offset: number, endOffset: number): number {
  die.moveTo(offset);
  const sibling = die.siblingOffset;
  if (sibling !== undefined) return sibling;
  let at = die.nextOffset;
  let depth = 1;
  while (depth > 0 && at < endOffset) {
    if (!die.moveTo(at)) depth--;
    else if (die.hasChildren) {
      const jump = die.siblingOffset;
      if (jump !== undefined) {
        at = jump;
        continue;
      }
      depth++;
    }
    at = die.nextOffset;
  }
  if (depth > 0) throw new DwarfError(die.unit.header.section.name, at, 'list of children does not end');
  return at;
}

/** C has no functions inside types, so its (many) structures are jumped over. */
function mayNestFunctions(language: number | undefined): boolean {
  switch (language) {
    case DW_LANG.C:
    case DW_LANG.C89:
    case DW_LANG.C99:
    case DW_LANG.C11:
    case DW_LANG.Mips_Assembler:
      return false;
    default:
      return true;
  }
}

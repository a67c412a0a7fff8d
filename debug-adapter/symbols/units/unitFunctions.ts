/**
 * The functions of one unit and the functions inlined into them, as a tree with code ranges; found by one
 * pass over the unit's entries that decodes nothing else. DWARF 5 §3.3.
 */
import { AddressArray, type Range } from '../../dwarf/address.ts';
import { DW_AT, DW_LANG, DW_TAG } from '../../dwarf/constants.ts';
import { DwarfError } from '../../dwarf/dwarfError.ts';
import { rangesOf } from '../../dwarf/ranges.ts';
import { Die, type Unit } from '../../dwarf/unit.ts';

/** A function proper, an inlined copy of one, or a block with variables of its own inside either. */
export type NodeKind = 'function' | 'inlined' | 'block';

/** A view of one entry of the tree; two views of the same entry have the same index. */
export interface FunctionNode {
  readonly unit: Unit;
  readonly index: number;
  /** Of the subprogram, inlined_subroutine or lexical_block entry. */
  readonly dieOffset: number;
  readonly kind: NodeKind;
  readonly ranges: readonly Range[];
}

/** Where an inlined function was called, as the entry says. */
export interface CallPlace {
  readonly file: number | undefined;
  readonly line: number | undefined;
  readonly column: number | undefined;
}

/** A namespace or class around functions, or the function around a class of its own (a lambda's). */
interface Scope {
  readonly dieOffset: number;
  readonly parent: Scope | undefined;
}

const MAX_HOPS = 16;

const UNNAMED_SCOPES: ReadonlyMap<number, string> = new Map([
  [DW_TAG.namespace, '(anonymous namespace)'],
  [DW_TAG.class_type, '{lambda}'],
  [DW_TAG.structure_type, '{lambda}'],
]);

const KINDS: readonly NodeKind[] = ['function', 'inlined', 'block'];
const BLOCK = KINDS.indexOf('block');

/**
 * Flat arrays, because a kernel has half a million entries and they should all fit in memory: nodes in the
 * unit's order, and their ranges sorted by start, each with the range around it.
 */
export class UnitFunctions {
  readonly unit: Unit;
  readonly #nodes: NodeArrays;
  readonly #sorted: SortedRanges;
  readonly #scopes = new Map<number, Scope>();
  readonly #names = new Map<number, string | undefined>();
  readonly #calls = new Map<number, CallPlace>();

  /** A unit that breaks in the middle keeps what came before. */
  constructor(unit: Unit, isCode: (address: number) => boolean) {
    this.unit = unit;
    const builder = new NodeBuilder();
    try {
      this.#scan(builder, isCode);
    } catch (error) {
      unit.file.report(error);
    }
    this.#nodes = builder.finish();
    this.#sorted = sortRanges(this.#nodes);
  }

  get nodeCount(): number {
    return this.#nodes.kind.length;
  }

  /** Roughly the memory this takes. */
  get sizeBytes(): number {
    return 1000 + 13 * this.nodeCount + 24 * this.#nodes.start.length + 100 * this.#scopes.size;
  }

  /** The function whose code contains the address, with the range that does. */
  at(address: number): { node: FunctionNode; start: number; end: number } | undefined {
    const node = this.nodesAt(address)[0];
    const range = node && containing(node.ranges, address);
    return node && range && { node, start: range.start, end: range.end };
  }

  /** Functions proper, in the unit's order. */
  *functions(): Generator<FunctionNode> {
    for (let index = 0; index < this.nodeCount; index++)
      if (this.#nodes.kind[index] === 0) yield this.#node(index);
  }

  /** The functions around an address, outermost (the function proper) first. */
  chainAt(address: number): FunctionNode[] {
    const chain: FunctionNode[] = [];
    for (let index = this.#innermostAt(address); index >= 0; index = this.#nodes.parent[index] as number) {
      if (this.#nodes.kind[index] !== BLOCK) chain.push(this.#node(index));
    }
    return chain.reverse();
  }

  /** Like chainAt, with the blocks between. */
  nodesAt(address: number): FunctionNode[] {
    const chain: FunctionNode[] = [];
    for (let index = this.#innermostAt(address); index >= 0; index = this.#nodes.parent[index] as number) {
      chain.push(this.#node(index));
    }
    return chain.reverse();
  }

  *inlinedCopies(): Generator<FunctionNode> {
    for (let index = 0; index < this.nodeCount; index++)
      if (this.#nodes.kind[index] === 1) yield this.#node(index);
  }

  /** Inlined copies of the function of that name. */
  *inlinedNamed(name: string): Generator<FunctionNode> {
    for (let index = 0; index < this.nodeCount; index++) {
      if (this.#nodes.kind[index] !== 1) continue;
      const node = this.#node(index);
      if (this.nameOf(node) === name) yield node;
    }
  }

  /** Kept, so that answering a second time needs no entries. */
  callPlace(node: FunctionNode): CallPlace {
    let place = this.#calls.get(node.index);
    if (place === undefined) {
      const die = this.unit.die(node.dieOffset);
      place = {
        file: die.number(DW_AT.call_file),
        line: die.number(DW_AT.call_line),
        column: die.number(DW_AT.call_column),
      };
      this.#calls.set(node.index, place);
    }
    return place;
  }

  /** The name as its programmer wrote it, with namespaces and classes. */
  nameOf(node: FunctionNode): string | undefined {
    if (!this.#names.has(node.dieOffset)) this.#names.set(node.dieOffset, this.#findName(node));
    return this.#names.get(node.dieOffset);
  }

  /**
   * The first of an entry and the entries it is an instance or completion of (§3.3.8.2, §3.3.8) that has the
   * attribute.
   */
  originWith(node: FunctionNode, attribute: number): Die | undefined {
    return originChain(this.unit.die(node.dieOffset)).find((die) => die.has(attribute));
  }

  #node(index: number): FunctionNode {
    const { unit } = this;
    const nodes = this.#nodes;
    const ranges: Range[] = [];
    const last = nodes.firstRange[index + 1] ?? nodes.start.length;
    for (let at = nodes.firstRange[index] as number; at < last; at++) {
      ranges.push({ start: nodes.start.at(at), end: nodes.end.at(at) });
    }
    return {
      unit,
      index,
      dieOffset: nodes.dieOffset.at(index),
      kind: KINDS[nodes.kind[index] as number] ?? 'block',
      ranges,
    };
  }

  #innermostAt(address: number): number {
    const { start, end, node, around } = this.#sorted;
    // Everything that contains the address begins before it, and encloses the last range that does.
    let at = start.countUpTo(address) - 1;
    while (at >= 0 && end.at(at) <= address) at = around[at] as number;
    return at < 0 ? -1 : (node[at] as number);
  }

  #findName(node: FunctionNode): string | undefined {
    try {
      const parts = this.#nameParts(this.unit.die(node.dieOffset));
      return parts.length === 0 ? undefined : parts.join('::');
    } catch (error) {
      this.unit.file.report(error);
      return undefined;
    }
  }

  /** The name of a function after those of what is around it; none when nothing names it. */
  #nameParts(die: Die): string[] {
    const chain = originChain(die);
    const name = chain.find((it) => it.has(DW_AT.name))?.string(DW_AT.name);
    if (name === undefined) {
      const linkage = chain.find((it) => it.has(DW_AT.linkage_name))?.string(DW_AT.linkage_name);
      return linkage === undefined ? [] : [linkage];
    }
    const declared = chain.at(-1) ?? die;
    if (declared.unit !== this.unit) return [...foreignScopeNames(declared), name];
    const scope = chain.map((it) => this.#scopes.get(it.offset)).find((found) => found !== undefined);
    return [...this.#scopeNames(scope), name];
  }

  #scopeNames(scope: Scope | undefined): string[] {
    const names: string[] = [];
    for (let at = scope; at !== undefined; at = at.parent) {
      const die = this.unit.die(at.dieOffset);
      if (die.tag === DW_TAG.subprogram) return [...this.#nameParts(die), ...names];
      const name = ownName(die) ?? UNNAMED_SCOPES.get(die.tag);
      if (name !== undefined) names.unshift(name);
    }
    return names;
  }

  #scan(builder: NodeBuilder, isCode: (address: number) => boolean): void {
    const { unit } = this;
    const { endOffset, entriesOffset } = unit.header;
    const die = new Die(unit, unit.reader());
    const enterTypes = mayNestFunctions(unit.root.language);
    /** What encloses the entries of each open level. */
    const levels: { node: number; scope: Scope | undefined; own: Scope | undefined }[] = [];
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
      let { node, scope, own } = level ?? { node: -1, scope: undefined, own: undefined };
      let enter = hasChildren;
      switch (tag) {
        case DW_TAG.subprogram:
        case DW_TAG.inlined_subroutine: {
          const kind = tag === DW_TAG.subprogram ? 0 : 1;
          // An inlined function has the name of what it is a copy of, wherever the copy is.
          if (scope !== undefined && kind === 0) this.#scopes.set(offset, scope);
          // A nested function (GNU C, Ada) is a function of its own, not a part of its parent.
          node = builder.add(offset, kind, kind === 0 ? -1 : node, codeOf(die, isCode));
          enter = hasChildren && node >= 0;
          if (kind === 0) own = { dieOffset: offset, parent: scope };
          break;
        }
        case DW_TAG.lexical_block:
          // A block without code of its own (abstract, or left by the optimiser) may still have children with
          // code. One without children has the variables of the block it is a copy of.
          if (node >= 0 && (hasChildren || die.has(DW_AT.abstract_origin))) {
            const block = builder.add(offset, 2, node, codeOf(die, isCode));
            if (block >= 0) node = block;
          }
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
          scope = { dieOffset: offset, parent: own ?? scope };
          break;
        default:
          enter = false;
      }
      if (!hasChildren) {
        offset = die.nextOffset;
        if (levels.length === 0) break;
      } else if (enter) {
        levels.push({ node, scope, own });
        offset = die.nextOffset;
      } else {
        offset = skipTree(die, offset, endOffset);
      }
    }
  }
}

interface NodeArrays {
  readonly dieOffset: AddressArray;
  /** Index in KINDS. */
  readonly kind: Uint8Array;
  /** -1 for functions. */
  readonly parent: Int32Array;
  /** Index of a node's first range; the next node's begins where they end. */
  readonly firstRange: Uint32Array;
  readonly start: AddressArray;
  readonly end: AddressArray;
}

class NodeBuilder {
  readonly #dieOffset: number[] = [];
  readonly #kind: number[] = [];
  readonly #parent: number[] = [];
  readonly #firstRange: number[] = [];
  readonly #start: number[] = [];
  readonly #end: number[] = [];

  /** The node's index, or -1 when it has no code: then it does not count. */
  add(dieOffset: number, kind: number, parent: number, ranges: readonly Range[]): number {
    if (ranges.length === 0) return -1;
    this.#dieOffset.push(dieOffset);
    this.#kind.push(kind);
    this.#parent.push(parent);
    this.#firstRange.push(this.#start.length);
    for (const { start, end } of ranges) {
      this.#start.push(start);
      this.#end.push(end);
    }
    return this.#kind.length - 1;
  }

  finish(): NodeArrays {
    return {
      dieOffset: new AddressArray(this.#dieOffset),
      kind: Uint8Array.from(this.#kind),
      parent: Int32Array.from(this.#parent),
      firstRange: Uint32Array.from(this.#firstRange),
      start: new AddressArray(this.#start),
      end: new AddressArray(this.#end),
    };
  }
}

interface SortedRanges {
  readonly start: AddressArray;
  readonly end: AddressArray;
  readonly node: Uint32Array;
  /** Index of the nearest range before that contains this one's start, or -1. */
  readonly around: Int32Array;
}

function sortRanges(nodes: NodeArrays): SortedRanges {
  const { start, end, firstRange } = nodes;
  const count = start.length;
  const owner = new Uint32Array(count);
  for (let node = 0; node < firstRange.length; node++)
    owner.fill(node, firstRange[node], firstRange[node + 1] ?? count);
  // Where two begin together the enclosing one comes first: its node has the lower index.
  const order = Uint32Array.from(owner, (_, index) => index).sort(
    (a, b) => start.at(a) - start.at(b) || (owner[a] as number) - (owner[b] as number),
  );
  const around = new Int32Array(count);
  const open: number[] = [];
  order.forEach((range, position) => {
    while (open.length > 0 && end.at(order[open.at(-1) as number] as number) <= start.at(range)) open.pop();
    around[position] = open.at(-1) ?? -1;
    open.push(position);
  });
  return {
    start: new AddressArray(Float64Array.from(order, (range) => start.at(range))),
    end: new AddressArray(Float64Array.from(order, (range) => end.at(range))),
    node: Uint32Array.from(order, (range) => owner[range] as number),
    around,
  };
}

function codeOf(die: Die, isCode: (address: number) => boolean): Range[] {
  return rangesOf(die).filter(({ start }) => isCode(start));
}

/** clang leaves the name of a type that has a unit of its own (§3.1.4) to that unit. */
export function ownName(die: Die): string | undefined {
  const name = die.string(DW_AT.name);
  return name ?? (die.has(DW_AT.signature) ? die.ref(DW_AT.signature)?.string(DW_AT.name) : undefined);
}

/**
 * Names of what is around an entry of a unit that was not scanned (link-time optimisation inlines across
 * units).
 */
function foreignScopeNames({ unit, offset: target }: Die): string[] {
  const { endOffset } = unit.header;
  const names: string[] = [];
  let parent = unit.rootDie();
  let offset = parent.nextOffset;
  while (offset < endOffset) {
    const child = unit.die(offset);
    if (child.tag === 0 || offset >= target) break;
    const next = child.hasChildren ? skipTree(unit.die(offset), offset, endOffset) : child.nextOffset;
    if (next <= target) {
      offset = next;
      continue;
    }
    const name = ownName(child) ?? UNNAMED_SCOPES.get(child.tag);
    if (name !== undefined) names.push(name);
    parent = child;
    offset = parent.nextOffset;
  }
  return names;
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

/** C has no functions inside types, so its (many) structures are skipped. */
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

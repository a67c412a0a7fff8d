/**
 * The names a unit declares at file scope, in namespaces and in classes: variables, functions, types,
 * enumerators. One pass, kept by name.
 */
import { DW_AT, DW_TAG } from '../../dwarf/constants.ts';
import { Die, type Unit } from '../../dwarf/unit.ts';
import { hasNamespaces, scopeOfName } from '../types/qualifiedNames.ts';
import { childrenOf } from '../units/dieTree.ts';
import { ownName, skipTree } from '../units/unitFunctions.ts';

/** Names of names: deeper nesting is broken debug information. */
const MAX_PREFIX = 1000;

export interface NamedEntry {
  readonly dieOffset: number;
  readonly tag: number;
  readonly isDeclaration: boolean;
}

/** `qualifiedName` of an entry of another unit: dwz moves declarations away from what completes them. */
export type OtherUnitsName = (die: Die) => string | undefined;

export class UnitNames {
  readonly unit: Unit;
  readonly #otherUnitsName: OtherUnitsName;
  /**
   * Structures and the like under `struct name`, `union name`, `enum name`; everything else under its name.
   */
  readonly #entries = new Map<string, NamedEntry[]>();
  /** Qualified names of the entries that are inside namespaces. */
  readonly #qualified = new Map<number, string>();
  readonly #completions: number[] = [];
  /** Prefixes of inline namespaces, and those of what is around them. */
  readonly #exported = new Map<string, string>();
  readonly #entersTypes: boolean = false;
  count = 0;

  constructor(unit: Unit, otherUnitsName: OtherUnitsName) {
    this.unit = unit;
    this.#otherUnitsName = otherUnitsName;
    try {
      this.#entersTypes = hasNamespaces(unit.root.language);
      this.#scan(unit.header.entriesOffset, '');
      this.#complete();
    } catch (error) {
      unit.file.report(error);
    }
  }

  /** Definitions before declarations. */
  find(name: string): readonly NamedEntry[] {
    const entries = this.#entries.get(name) ?? [];
    return [...entries].sort((a, b) => Number(a.isDeclaration) - Number(b.isDeclaration));
  }

  /** `ns::Type` of an entry in a namespace; undefined for those at file scope. */
  qualifiedName(dieOffset: number): string | undefined {
    return this.#qualified.get(dieOffset);
  }

  /** The children of the entry at `parentOffset`. */
  #scan(parentOffset: number, prefix: string): void {
    const { unit } = this;
    const { endOffset } = unit.header;
    const die = new Die(unit, unit.reader());
    if (!die.moveTo(parentOffset) || !die.hasChildren) return;
    let offset = die.nextOffset;
    while (offset < endOffset && die.moveTo(offset)) {
      const { hasChildren, tag } = die;
      if (tag === DW_TAG.namespace) this.#namespace(offset, prefix);
      else this.#visit(die, offset, prefix);
      if (hasChildren) offset = skipTree(die, offset, endOffset);
      else {
        die.moveTo(offset);
        offset = die.nextOffset;
      }
    }
  }

  #visit(die: Die, offset: number, prefix: string): void {
    const keyword = die.tag === DW_TAG.member ? staticKeyword(die) : KEYWORDS.get(die.tag);
    if (keyword === undefined) return;
    // What completes a declaration has the declaration's scope, which may come later (§2.13.2).
    if (die.has(DW_AT.specification)) this.#completions.push(offset);
    else this.#enter(die, offset, keyword, prefix, ownName(die));
  }

  #complete(): void {
    // Types completed here may contain more of them.
    for (let offset = this.#completions.shift(); offset !== undefined; offset = this.#completions.shift()) {
      const die = this.unit.die(offset);
      const declaration = die.ref(DW_AT.specification);
      const name = declaration && (this.#scopedName(declaration) ?? declaration.string(DW_AT.name));
      this.#enter(die, offset, KEYWORDS.get(die.tag) ?? '', '', name);
    }
  }

  #scopedName(die: Die): string | undefined {
    return die.unit === this.unit ? this.#qualified.get(die.offset) : this.#otherUnitsName(die);
  }

  #enter(die: Die, offset: number, keyword: string, prefix: string, own: string | undefined): void {
    const { tag, hasChildren } = die;
    const name = own === undefined ? undefined : prefix + own;
    if (name !== undefined) {
      // A stub for a type that is in a type unit of its own (§3.1.4) is as good as a definition.
      const isDeclaration = die.flag(DW_AT.declaration) && !die.has(DW_AT.signature);
      const entry = { dieOffset: offset, tag, isDeclaration };
      if (name.includes('::')) this.#qualified.set(offset, name);
      this.#add(keyword + name, entry);
      // C++ and Rust name their types without the keyword.
      if (keyword !== '') this.#add(name, entry);
    }
    if (tag === DW_TAG.enumeration_type) this.#enumerators(offset, name, prefix);
    else if (hasChildren && this.#entersTypes && CLASS_TAGS.has(tag)) this.#classScope(offset, name, prefix);
  }

  /**
   * Under `Colour::Red` always, under `Red` unless the enumeration keeps its names to itself (§5.7.1
   * DW_AT_enum_class).
   */
  #enumerators(offset: number, owner: string | undefined, prefix: string): void {
    const enumeration = this.unit.die(offset);
    const isClass = enumeration.flag(DW_AT.enum_class);
    const scope = owner === undefined ? undefined : scopeOfName(owner);
    const around = scope === undefined ? prefix : `${scope}::`;
    for (const child of childrenOf(enumeration)) {
      const name = child.tag === DW_TAG.enumerator ? child.string(DW_AT.name) : undefined;
      if (name === undefined) continue;
      const entry = { dieOffset: offset, tag: DW_TAG.enumerator, isDeclaration: false };
      if (!isClass) this.#add(around + name, entry);
      if (owner !== undefined) this.#add(`${owner}::${name}`, entry);
    }
  }

  #namespace(offset: number, prefix: string): void {
    const die = this.unit.die(offset);
    const name = die.string(DW_AT.name);
    // An inline namespace's names are its parent's too (§3.2.2).
    if (name !== undefined && die.flag(DW_AT.export_symbols))
      this.#exported.set(`${prefix}${name}::`, prefix);
    if (prefix.length < MAX_PREFIX) this.#scan(offset, name === undefined ? prefix : `${prefix}${name}::`);
  }

  /**
   * Static members, member functions and types of a class. What is inside an unnamed one counts as outside
   * it.
   */
  #classScope(offset: number, name: string | undefined, prefix: string): void {
    if (prefix.length < MAX_PREFIX) this.#scan(offset, name === undefined ? prefix : `${name}::`);
  }

  #add(name: string, entry: NamedEntry): void {
    for (const [inner, outer] of this.#exported) {
      const [, keyword = '', bare = name] = /^((?:struct|class|union|enum) )(.+)$/.exec(name) ?? [];
      if (bare.startsWith(inner)) this.#add(keyword + outer + bare.slice(inner.length), entry);
    }
    const known = this.#entries.get(name);
    if (known === undefined) this.#entries.set(name, [entry]);
    else known.push(entry);
    this.count++;
  }
}

/** Version 4 declares static members as members (§5.6.6 there), version 5 as variables. */
function staticKeyword(die: Die): string | undefined {
  return die.flag(DW_AT.external) || die.flag(DW_AT.declaration) ? '' : undefined;
}

const CLASS_TAGS = new Set<number>([DW_TAG.structure_type, DW_TAG.class_type, DW_TAG.union_type]);

const KEYWORDS: ReadonlyMap<number, string> = new Map([
  [DW_TAG.variable, ''],
  [DW_TAG.subprogram, ''],
  [DW_TAG.typedef, ''],
  [DW_TAG.base_type, ''],
  [DW_TAG.structure_type, 'struct '],
  [DW_TAG.class_type, 'class '],
  [DW_TAG.union_type, 'union '],
  [DW_TAG.enumeration_type, 'enum '],
]);

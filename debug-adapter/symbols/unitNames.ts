/** The names a unit declares at file scope, in namespaces and in classes: variables, functions, types, enumerators. One pass, kept by name. */
import { DW_AT, DW_TAG } from '../dwarf/constants.ts';
import { Die } from '../dwarf/die.ts';
import type { Unit } from '../dwarf/unit.ts';
import { childrenOf } from './dieTree.ts';
import { hasNamespaces } from './qualifiedNames.ts';
import { skipTree } from './unitFunctions.ts';

/** Names of names: deeper nesting is broken debug information. */
const MAX_PREFIX = 1000;

export interface NamedEntry {
  readonly dieOffset: number;
  readonly tag: number;
  readonly isDeclaration: boolean;
}

export class UnitNames {
  readonly unit: Unit;
  /** Structures and the like under `struct name`, `union name`, `enum name`; all else under its name. */
  private readonly entries = new Map<string, NamedEntry[]>();
  /** Names with namespaces of the entries that are inside some. */
  private readonly qualified = new Map<number, string>();
  private readonly entersTypes: boolean = false;
  count = 0;

  constructor(unit: Unit) {
    this.unit = unit;
    try {
      this.entersTypes = hasNamespaces(unit.root.language);
      this.scan(unit.header.entriesOffset, '');
    } catch (error) {
      unit.file.report(error);
    }
  }

  /** Definitions before declarations. */
  find(name: string): readonly NamedEntry[] {
    const entries = this.entries.get(name) ?? [];
    return [...entries].sort((a, b) => Number(a.isDeclaration) - Number(b.isDeclaration));
  }

  /** `ns::Type` of an entry in a namespace; undefined for those at file scope. */
  qualifiedName(dieOffset: number): string | undefined {
    return this.qualified.get(dieOffset);
  }

  /** The children of the entry at `parentOffset`. */
  private scan(parentOffset: number, prefix: string): void {
    const { unit } = this;
    const { endOffset } = unit.header;
    const die = new Die(unit, unit.reader());
    if (!die.moveTo(parentOffset) || !die.hasChildren) return;
    let offset = die.nextOffset;
    while (offset < endOffset && die.moveTo(offset)) {
      const { hasChildren, tag } = die;
      this.visit(die, offset, prefix);
      if (tag === DW_TAG.enumeration_type) this.enumerators(offset, prefix);
      if (tag === DW_TAG.namespace) this.namespace(offset, prefix);
      if (hasChildren && this.entersTypes && CLASS_TAGS.has(tag)) this.classScope(offset, prefix);
      if (hasChildren) offset = skipTree(die, offset, endOffset);
      else {
        die.moveTo(offset);
        offset = die.nextOffset;
      }
    }
  }

  private visit(die: Die, offset: number, prefix: string): void {
    const keyword = die.tag === DW_TAG.member ? staticKeyword(die) : KEYWORDS.get(die.tag);
    if (keyword === undefined) return;
    const name = die.string(DW_AT.name) ?? this.specifiedName(die);
    if (name === undefined) return;
    const isDeclaration = die.flag(DW_AT.declaration);
    const entry = { dieOffset: offset, tag: die.tag, isDeclaration };
    if (prefix !== '' || !die.has(DW_AT.name)) this.qualified.set(offset, prefix + name);
    this.add(keyword + prefix + name, entry);
    // C++ and Rust name their types without the keyword.
    if (keyword !== '') this.add(prefix + name, entry);
  }

  /** Under `Colour::Red` always, under `Red` unless the enumeration keeps its names to itself (§5.7.1 DW_AT_enum_class). */
  private enumerators(offset: number, prefix: string): void {
    const enumeration = this.unit.die(offset);
    const owner = enumeration.string(DW_AT.name);
    const isClass = enumeration.flag(DW_AT.enum_class);
    for (const child of childrenOf(enumeration)) {
      const name = child.tag === DW_TAG.enumerator ? child.string(DW_AT.name) : undefined;
      if (name === undefined) continue;
      const entry = { dieOffset: offset, tag: DW_TAG.enumerator, isDeclaration: false };
      if (!isClass) this.add(prefix + name, entry);
      if (owner !== undefined) this.add(`${prefix}${owner}::${name}`, entry);
    }
  }

  private namespace(offset: number, prefix: string): void {
    const name = this.unit.die(offset).string(DW_AT.name);
    if (prefix.length < MAX_PREFIX) this.scan(offset, name === undefined ? prefix : `${prefix}${name}::`);
  }

  /** Static members, member functions and types of a class. What is inside an unnamed one counts as outside of it. */
  private classScope(offset: number, prefix: string): void {
    const die = this.unit.die(offset);
    const own = die.string(DW_AT.name);
    const name = own === undefined ? this.specifiedName(die) : prefix + own;
    if (prefix.length < MAX_PREFIX) this.scan(offset, name === undefined ? prefix : `${name}::`);
  }

  /** A definition that completes a declaration has its name there, and its namespace (§2.13.2). */
  private specifiedName(die: Die): string | undefined {
    const offset = die.refOffset(DW_AT.specification);
    if (offset === undefined) return undefined;
    return this.qualified.get(offset) ?? die.ref(DW_AT.specification)?.string(DW_AT.name);
  }

  private add(name: string, entry: NamedEntry): void {
    const known = this.entries.get(name);
    if (known === undefined) this.entries.set(name, [entry]);
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

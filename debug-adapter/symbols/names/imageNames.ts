/** Names of an image: in the current unit first, then anywhere, through its index. */
import { DW_AT, DW_TAG } from '../../dwarf/constants.ts';
import type { DwarfFile } from '../../dwarf/dwarfFile.ts';
import type { Die, Unit } from '../../dwarf/unit.ts';
import { LruCache } from '../base/lruCache.ts';
import { normalizePath, pathMatch } from '../base/sourcePath.ts';
import { finish } from '../base/steps.ts';
import { buildIndex } from '../index/buildIndex.ts';
import type { ImageIndex } from '../index/imageIndex.ts';
import type { NamePlace, NameTables } from '../index/nameTables.ts';
import {
  NAME_ENUMERATOR,
  NAME_FUNCTION,
  NAME_VARIABLE,
  nameKind,
  SymbolIndex,
  TYPE_KINDS,
} from '../index/symbolIndex.ts';
import { builtinType } from '../types/builtinTypes.ts';
import { scopeOfName, splitPath, templateSpellings } from '../types/qualifiedNames.ts';
import type { Type } from '../types/type.ts';
import { TypeReader } from '../types/typeReader.ts';
import { originChain } from '../units/unitFunctions.ts';
import { UnitNames } from './unitNames.ts';

const MAX_NAMES = 400_000;
const MAX_FOUND = 2000;
const FIRST_UNITS = 16;
/** A function inlined everywhere has an entry in every unit: if any has a place, one among the first does. */
const MAX_ANYWHERE = 256;

const TYPE_TAGS = new Set<number>([
  DW_TAG.base_type,
  DW_TAG.typedef,
  DW_TAG.structure_type,
  DW_TAG.class_type,
  DW_TAG.union_type,
  DW_TAG.enumeration_type,
]);

const VALUE_KINDS = [NAME_VARIABLE, NAME_FUNCTION, NAME_ENUMERATOR] as const;
/** Version 4 declares static members of classes with DW_TAG_member. */
const VALUE_TAGS = new Set<number>([DW_TAG.variable, DW_TAG.subprogram, DW_TAG.enumerator, DW_TAG.member]);

export class ImageNames {
  readonly types: TypeReader;
  readonly #file: DwarfFile;
  readonly #addressSize: number;
  /** What names were found to mean, by the asking scope and the name. */
  readonly found = new LruCache<string, Die>(MAX_FOUND);
  readonly #byUnit = new LruCache<Unit, UnitNames>(MAX_NAMES);
  /** Units that complete each other's declarations (broken debug information) are not read in circles. */
  readonly #reading = new Set<Unit>();
  readonly #index: ImageIndex;
  readonly #aside: Iterable<Unit>;
  #supplementIndex: SymbolIndex | undefined;

  /** `aside` are the units that the index does not cover. */
  constructor(file: DwarfFile, index: ImageIndex, aside: Iterable<Unit>, addressSize: number) {
    this.#file = file;
    this.#aside = aside;
    this.#index = index;
    this.#addressSize = addressSize;
    this.types = new TypeReader(
      (declaration) => this.#definitionOf(declaration),
      (die) => this.#namesOf(die.unit).qualifiedName(die.offset),
    );
  }

  /** Resolves when names can be found anywhere, or will not be; with a name, when that one can. */
  async ensureIndex(name?: string): Promise<void> {
    const { tables } = this.#index;
    if (tables !== undefined && (name === undefined || tables.hasEnumerators || this.#isListed(tables, name)))
      return;
    await this.#index.ensure();
  }

  /**
   * Variables, functions and enumerators of that name: of the unit `near`, or of the units of `sourceFile`.
   */
  inUnit(name: string, near: Unit): Die[] {
    return this.#namesOf(near)
      .find(name)
      .filter(({ tag }) => VALUE_TAGS.has(tag))
      .map(({ dieOffset }) => near.die(dieOffset));
  }

  /** Of a static member that a class declares: only what the unit or the index knows by now. */
  definitionsOf(declaration: Die): Die[] {
    const name = this.#namesOf(declaration.unit).qualifiedName(declaration.offset);
    if (name === undefined) return [];
    return [...this.inUnit(name, declaration.unit), ...this.anywhere(name)];
  }

  inFile(name: string, sourceFile: string): Die[] {
    const wanted = normalizePath(sourceFile);
    const found: Die[] = [];
    for (const header of this.#file.unitHeaders()) {
      try {
        const unit = this.#file.unitOf(header);
        const recorded = unit.root.name;
        if (recorded === undefined || pathMatch(normalizePath(recorded), wanted) === 0) continue;
        found.push(...this.inUnit(name, unit));
      } catch (error) {
        this.#file.report(error);
      }
    }
    return found;
  }

  /** Definitions anywhere. Only when the index is there: see ensureIndex. */
  anywhere(name: string): Die[] {
    const found: Die[] = [];
    for (const die of this.#definitions(name, VALUE_KINDS)) {
      if (found.push(die) === MAX_ANYWHERE) break;
    }
    return found.length > 0 ? found : (this.#inOwnersUnit(name, (unit) => this.inUnit(name, unit)) ?? []);
  }

  /**
   * Like `anywhere`, for names that end like that: `Color::Green` where the program says `use shapes::Color`.
   */
  anywhereEndingWith(name: string): Die[] {
    const simple = splitPath(name).at(-1) ?? name;
    const found: Die[] = [];
    for (const die of this.#candidates(simple, VALUE_KINDS)) {
      if (found.length >= MAX_ANYWHERE) break;
      const names = this.#namesOf(die.unit);
      const own = names.qualifiedName(die.offset) ?? '';
      const whole = die.tag === DW_TAG.enumeration_type ? `${own}::${simple}` : own;
      const isThere = names.find(whole).some(({ dieOffset }) => dieOffset === die.offset);
      if (`::${whole}`.endsWith(`::${name}`) && isThere) found.push(die);
    }
    return found;
  }

  /**
   * Subprogram entries of that name, abstract ones of inlined functions too. Only when the index is there.
   */
  functions(name: string): Iterable<Die> {
    return this.#definitions(name, [NAME_FUNCTION]);
  }

  /**
   * Names with namespaces of the functions that have that as their own name, each once. Only when the index
   * is there.
   */
  *functionScopes(simple: string): Generator<string> {
    const seen = new Set<string>();
    for (const die of this.#candidates(simple, [NAME_FUNCTION])) {
      const name = this.#namesOf(die.unit).qualifiedName(die.offset);
      if (name === undefined || seen.has(name)) continue;
      seen.add(name);
      yield name;
    }
  }

  /** `struct node`, `unsigned long`, `word_t`, `a::Box<int, 3>::Item`; without its keyword too. */
  type(name: string, near: Unit | undefined): Type | undefined {
    const builtin = builtinType(name, this.#addressSize);
    if (builtin !== undefined) return builtin;
    for (const spelling of templateSpellings(name)) {
      const die = this.#typeEntry(spelling, near);
      if (die !== undefined) return this.types.read(die);
    }
    return undefined;
  }

  #typeEntry(name: string, near: Unit | undefined): Die | undefined {
    const local = near === undefined ? undefined : this.#typeInUnit(name, near);
    const common = local ?? (this.#isSearched ? this.#typeInFirstUnits(name) : undefined);
    if (common !== undefined) return common;
    const [, keyword, bare = name] = /^(struct|union|class|enum) (.+)$/.exec(name) ?? [];
    const found = this.#typeDefinition(bare, (tag) => keyword === undefined || tagFits(tag, keyword));
    return found ?? this.#inOwnersUnit(bare, (unit) => this.#typeInUnit(bare, unit));
  }

  /**
   * The index has what is in namespaces; what is inside a class is known by the unit that defines the class.
   */
  #inOwnersUnit<T>(name: string, find: (unit: Unit) => T | undefined): T | undefined {
    const owner = scopeOfName(name);
    const struct = owner === undefined ? undefined : this.#typeDefinition(owner, () => true);
    return struct && find(struct.unit);
  }

  /**
   * The types of a large program that people ask about are in nearly every unit: finding those needs no
   * index.
   */
  #typeInFirstUnits(name: string): Die | undefined {
    for (const header of this.#file.unitHeaders().slice(0, FIRST_UNITS)) {
      try {
        const die = this.#typeInUnit(name, this.#file.unitOf(header));
        if (die !== undefined) return die;
      } catch (error) {
        this.#file.report(error);
      }
    }
    return undefined;
  }

  #typeInUnit(name: string, unit: Unit): Die | undefined {
    const entry = this.#namesOf(unit)
      .find(name)
      .find(({ tag, isDeclaration }) => TYPE_TAGS.has(tag) && !isDeclaration);
    return entry && unit.die(entry.dieOffset);
  }

  #typeDefinition(name: string, fits: (tag: number) => boolean): Die | undefined {
    for (const die of this.#definitions(name, TYPE_KINDS)) if (fits(die.tag)) return die;
    return undefined;
  }

  /** Whether names are neither indexed nor listed (yet). */
  get #isSearched(): boolean {
    return this.#index.tables === undefined && this.#index.now === undefined;
  }

  *#definitions(name: string, kinds: readonly number[]): Generator<Die> {
    const simple = splitPath(name).at(-1) ?? name;
    let isListed = false;
    for (const die of this.#listed(name, simple, kinds)) {
      isListed = true;
      yield die;
    }
    if (isListed) return;
    for (const die of this.#candidates(simple, kinds)) {
      if (!this.#isNamed(die, name, simple)) continue;
      isListed = true;
      yield die;
    }
    if (!isListed) yield* this.#definedAside(name, kinds);
  }

  /** Entries that may have that name: the caller compares. */
  *#candidates(simple: string, kinds: readonly number[]): Generator<Die> {
    for (const offset of this.#index.now?.candidates(simple, kinds) ?? []) {
      const die = this.#file.dieAt(offset);
      if (die !== undefined) yield die;
    }
    // The supplementary file serves other images too: what this one imports is its own.
    const { supplement, imports } = this.#file;
    if (supplement === undefined) return;
    this.#supplementIndex ??= new SymbolIndex(finish(buildIndex(supplement)));
    for (const offset of this.#supplementIndex.candidates(simple, kinds)) {
      const die = supplement.dieAt(offset);
      if (die !== undefined && imports.importersOf(die.unit).length > 0) yield die;
    }
  }

  *#definedAside(name: string, kinds: readonly number[]): Generator<Die> {
    for (const unit of this.#aside) {
      try {
        for (const { tag, dieOffset, isDeclaration } of this.#namesOf(unit).find(name))
          if (!isDeclaration && kinds.includes(nameKind(tag))) yield unit.die(dieOffset);
      } catch (error) {
        unit.file.report(error);
      }
    }
  }

  /** Definitions by the file's own tables: some have simple names, some qualified ones. */
  *#listed(name: string, simple: string, kinds: readonly number[]): Generator<Die> {
    const { tables } = this.#index;
    const seen = new Set<string>();
    for (const spelling of tables === undefined ? [] : new Set([name, simple])) {
      for (const place of tables?.find(spelling, kinds) ?? []) {
        for (const die of this.#entriesAt(place, name, kinds)) {
          const key = `${die.unit.file.id}+${die.offset}`;
          if (seen.has(key) || !this.#isNamed(die, name, simple)) continue;
          seen.add(key);
          yield die;
        }
      }
    }
  }

  *#entriesAt(place: NamePlace, name: string, kinds: readonly number[]): Generator<Die> {
    const { dieOffset, unitOffset } = place;
    if (dieOffset !== undefined) {
      const die = this.#file.dieAt(dieOffset);
      if (die !== undefined && !die.has(DW_AT.declaration)) yield die;
    } else if (unitOffset !== undefined) {
      const unit = this.#file.unitAt(unitOffset);
      // What a unit imports counts as its own (dwz).
      for (const part of [unit, ...this.#file.imports.of(unit)]) yield* this.#entriesIn(part, name, kinds);
    }
  }

  *#entriesIn(unit: Unit, name: string, kinds: readonly number[]): Generator<Die> {
    const entries = this.#namesOf(unit)
      .find(name)
      .filter(({ tag }) => kinds.includes(nameKind(tag)));
    const definitions = entries.filter(({ isDeclaration }) => !isDeclaration);
    // For a variable gdb lists one unit, which may only declare it: that gives its type, and the symbol table
    // its place.
    const declared = entries.filter(({ tag }) => tag === DW_TAG.variable);
    for (const { dieOffset: offset } of definitions.length > 0 ? definitions : declared)
      yield unit.die(offset);
  }

  #isListed(tables: NameTables, name: string): boolean {
    const kinds = [...TYPE_KINDS, NAME_VARIABLE, NAME_FUNCTION];
    const bare = name.replace(/^(?:struct|union|class|enum) /, '');
    const simple = splitPath(bare).at(-1) ?? bare;
    return [bare, simple].some((spelling) => {
      const [first] = tables.find(spelling, kinds);
      return first !== undefined;
    });
  }

  /** Whether a candidate of the index really has the name, with its namespaces when the name has some. */
  #isNamed(die: Die, name: string, simple: string): boolean {
    if (name !== simple) {
      return this.#namesOf(die.unit)
        .find(name)
        .some(({ dieOffset }) => dieOffset === die.offset);
    }
    if (die.tag === DW_TAG.enumeration_type && die.string(DW_AT.name) !== name) {
      return this.#namesOf(die.unit)
        .find(name)
        .some(({ tag, dieOffset }) => tag === DW_TAG.enumerator && dieOffset === die.offset);
    }
    const own = originChain(die).find((candidate) => candidate.has(DW_AT.name));
    return own?.string(DW_AT.name) === name;
  }

  /** What defines a structure that is only declared where it was met. */
  #definitionOf(declaration: Die): Die | undefined {
    const name =
      this.#namesOf(declaration.unit).qualifiedName(declaration.offset) ?? declaration.string(DW_AT.name);
    if (name === undefined) return undefined;
    const fits = (tag: number): boolean =>
      tag === declaration.tag || (isClass(tag) && isClass(declaration.tag));
    return this.#typeDefinition(name, fits);
  }

  #namesOf(unit: Unit): UnitNames {
    let names = this.#byUnit.get(unit);
    if (names === undefined) {
      this.#reading.add(unit);
      names = new UnitNames(unit, ({ unit: other, offset }) =>
        this.#reading.has(other) ? undefined : this.#namesOf(other).qualifiedName(offset),
      );
      this.#reading.delete(unit);
      this.#byUnit.set(unit, names, names.count + 100);
    }
    return names;
  }
}

function tagFits(tag: number, keyword: string): boolean {
  switch (keyword) {
    case 'struct':
    case 'class':
      return isClass(tag);
    case 'union':
      return tag === DW_TAG.union_type;
    case 'enum':
      return tag === DW_TAG.enumeration_type;
    default:
      return false;
  }
}

/** C++ allows declaring with `class` what is defined with `struct`. */
function isClass(tag: number): boolean {
  return tag === DW_TAG.structure_type || tag === DW_TAG.class_type;
}

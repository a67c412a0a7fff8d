/** Names of an image: in the unit at hand first, then anywhere, by the index of names (built when first needed). */
import { DW_AT, DW_TAG } from '../dwarf/constants.ts';
import type { Die } from '../dwarf/die.ts';
import type { DwarfFile } from '../dwarf/dwarfFile.ts';
import type { Unit } from '../dwarf/unit.ts';
import { builtinType } from './builtinTypes.ts';
import { LruCache } from './lruCache.ts';
import {
  NAME_ENUMERATOR,
  NAME_FUNCTION,
  NAME_TYPE,
  NAME_VARIABLE,
  type NameIndex,
  buildNameIndex,
} from './nameIndex.ts';
import { normalizePath, pathMatch } from './sourcePath.ts';
import { scopeOfName, splitPath, templateSpellings } from './qualifiedNames.ts';
import { TypeReader } from './typeReader.ts';
import type { Type } from './types.ts';
import { originChain } from './unitFunctions.ts';
import { UnitNames } from './unitNames.ts';

const MAX_NAMES = 400_000;
/** Up to this much debug information the index is built on the spot; more is done in slices that leave room for others. */
const SMALL_BYTES = 8 << 20;
const SLICE_MS = 20;
const FIRST_UNITS = 16;

const TYPE_TAGS = new Set<number>([
  DW_TAG.base_type,
  DW_TAG.typedef,
  DW_TAG.structure_type,
  DW_TAG.class_type,
  DW_TAG.union_type,
  DW_TAG.enumeration_type,
]);

/** Version 4 declares static members of classes with DW_TAG_member. */
const VALUE_TAGS = new Set<number>([DW_TAG.variable, DW_TAG.subprogram, DW_TAG.enumerator, DW_TAG.member]);

export class ImageNames {
  readonly types: TypeReader;
  private readonly file: DwarfFile;
  private readonly addressSize: number;
  private readonly byUnit = new LruCache<Unit, UnitNames>(MAX_NAMES);
  private index: NameIndex | undefined;
  private building: Promise<NameIndex> | undefined;

  constructor(file: DwarfFile, addressSize: number) {
    this.file = file;
    this.addressSize = addressSize;
    this.types = new TypeReader(
      (declaration) => this.definitionOf(declaration),
      (die) => this.namesOf(die.unit).qualifiedName(die.offset),
    );
  }

  /** The index, built now or already. `onProgress` hears fractions. */
  ensureIndex(onProgress?: (fraction: number) => void): Promise<NameIndex> {
    return (this.building ??= this.build(onProgress));
  }

  /** Variables, functions and enumerators of that name: of the unit `near`, or of the units of `sourceFile`. */
  inUnit(name: string, near: Unit): Die[] {
    return this.namesOf(near)
      .find(name)
      .filter(({ tag }) => VALUE_TAGS.has(tag))
      .map(({ dieOffset }) => near.die(dieOffset));
  }

  inFile(name: string, sourceFile: string): Die[] {
    const wanted = normalizePath(sourceFile);
    const found: Die[] = [];
    for (const header of this.file.unitHeaders()) {
      try {
        const unit = this.file.unitOf(header);
        const recorded = unit.root.name;
        if (recorded === undefined || pathMatch(normalizePath(recorded), wanted) === 0) continue;
        found.push(...this.inUnit(name, unit));
      } catch (error) {
        this.file.report(error);
      }
    }
    return found;
  }

  /** Definitions anywhere. Only when the index is there: see ensureIndex. */
  anywhere(name: string): Die[] {
    const found = this.definitions(name, NAME_VARIABLE, NAME_FUNCTION, NAME_ENUMERATOR);
    return found.length > 0 ? found : (this.inOwnersUnit(name, (unit) => this.inUnit(name, unit)) ?? []);
  }

  /** Subprogram entries of that name, abstract ones of inlined functions too. Only when the index is there. */
  functions(name: string): Die[] {
    return this.definitions(name, NAME_FUNCTION);
  }

  /** `struct node`, `unsigned long`, `word_t`, `a::Box<int, 3>::Item`; without its keyword too. */
  type(name: string, near: Unit | undefined): Type | undefined {
    const builtin = builtinType(name, this.addressSize);
    if (builtin !== undefined) return builtin;
    for (const spelling of templateSpellings(name)) {
      const die = this.typeEntry(spelling, near);
      if (die !== undefined) return this.types.read(die);
    }
    return undefined;
  }

  private typeEntry(name: string, near: Unit | undefined): Die | undefined {
    const local = near === undefined ? undefined : this.typeInUnit(name, near);
    const common = local ?? (this.indexNow() === undefined ? this.typeInFirstUnits(name) : undefined);
    if (common !== undefined) return common;
    const [, keyword, bare = name] = /^(struct|union|class|enum) (.+)$/.exec(name) ?? [];
    const found = this.definitions(bare, NAME_TYPE).find(
      ({ tag }) => keyword === undefined || tagFits(tag, keyword),
    );
    return found ?? this.inOwnersUnit(bare, (unit) => this.typeInUnit(bare, unit));
  }

  /** The index has what is in namespaces; what is inside a class is known by the unit that defines the class. */
  private inOwnersUnit<T>(name: string, find: (unit: Unit) => T | undefined): T | undefined {
    const owner = scopeOfName(name);
    const struct = owner === undefined ? undefined : this.definitions(owner, NAME_TYPE)[0];
    return struct && find(struct.unit);
  }

  /** The types of a large program that people ask for are in nearly every unit: no index is needed to find those. */
  private typeInFirstUnits(name: string): Die | undefined {
    for (const header of this.file.unitHeaders().slice(0, FIRST_UNITS)) {
      try {
        const die = this.typeInUnit(name, this.file.unitOf(header));
        if (die !== undefined) return die;
      } catch (error) {
        this.file.report(error);
      }
    }
    return undefined;
  }

  private typeInUnit(name: string, unit: Unit): Die | undefined {
    const entry = this.namesOf(unit)
      .find(name)
      .find(({ tag, isDeclaration }) => TYPE_TAGS.has(tag) && !isDeclaration);
    return entry && unit.die(entry.dieOffset);
  }

  private definitions(name: string, ...kinds: readonly number[]): Die[] {
    const index = this.indexNow();
    if (index === undefined) return [];
    const simple = splitPath(name).at(-1) ?? name;
    const found: Die[] = [];
    for (const offset of index.candidates(simple, ...kinds)) {
      const die = this.file.dieAt(offset);
      if (die !== undefined && this.isNamed(die, name, simple)) found.push(die);
    }
    return found;
  }

  /** Whether a candidate of the index has the name indeed, with its namespaces when the name has some. */
  private isNamed(die: Die, name: string, simple: string): boolean {
    if (name !== simple) {
      return this.namesOf(die.unit)
        .find(name)
        .some(({ dieOffset }) => dieOffset === die.offset);
    }
    if (die.tag === DW_TAG.enumeration_type && die.string(DW_AT.name) !== name) {
      return this.namesOf(die.unit)
        .find(name)
        .some(({ tag, dieOffset }) => tag === DW_TAG.enumerator && dieOffset === die.offset);
    }
    const own = originChain(die).find((candidate) => candidate.has(DW_AT.name));
    return own?.string(DW_AT.name) === name;
  }

  /** What defines a structure that is only declared where it was met. */
  private definitionOf(declaration: Die): Die | undefined {
    const name =
      this.namesOf(declaration.unit).qualifiedName(declaration.offset) ?? declaration.string(DW_AT.name);
    if (name === undefined) return undefined;
    const fits = (tag: number): boolean =>
      tag === declaration.tag || (isClass(tag) && isClass(declaration.tag));
    return this.definitions(name, NAME_TYPE).find(({ tag }) => fits(tag));
  }

  private namesOf(unit: Unit): UnitNames {
    let names = this.byUnit.get(unit);
    if (names === undefined) {
      names = new UnitNames(unit);
      this.byUnit.set(unit, names, names.count + 100);
    }
    return names;
  }

  /** The index if it is there, or is built in no time. */
  private indexNow(): NameIndex | undefined {
    const size = this.file.section('.debug_info')?.sizeBytes ?? 0;
    if (this.index === undefined && size <= SMALL_BYTES) this.index = finish(buildNameIndex(this.file));
    return this.index;
  }

  private async build(onProgress?: (fraction: number) => void): Promise<NameIndex> {
    const steps = buildNameIndex(this.file);
    let sliceEnd = performance.now() + SLICE_MS;
    for (;;) {
      const step = steps.next();
      if (step.done === true) return (this.index = step.value);
      if (performance.now() < sliceEnd) continue;
      onProgress?.(step.value);
      await new Promise((resolve) => setImmediate(resolve));
      sliceEnd = performance.now() + SLICE_MS;
    }
  }
}

function finish(steps: Generator<number, NameIndex>): NameIndex {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
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

/** C++ lets one declare with `class` what is defined with `struct`. */
function isClass(tag: number): boolean {
  return tag === DW_TAG.structure_type || tag === DW_TAG.class_type;
}

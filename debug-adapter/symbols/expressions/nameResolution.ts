/**
 * What a name means at a frame: variables, functions, enumerators and types, as C, C++ and Rust look them up.
 * Locals first, then members of the object, then the scopes around the function from the inside out, then
 * macros, then anywhere in the program.
 */
import { toBytes } from '../../dwarf/byteOrder.ts';
import { toUnsigned } from '../../dwarf/address.ts';
import { DW_AT, DW_TAG } from '../../dwarf/constants.ts';
import { rangesOf } from '../../dwarf/ranges.ts';
import type { Die } from '../../dwarf/unit.ts';
import { QueryError } from '../base/queryError.ts';
import type { FrameScope, ScopeImage } from '../frames/frameScope.ts';
import { isRegisterName, registerByName } from '../frames/machineRegisters.ts';
import type { ImageNames } from '../names/imageNames.ts';
import { familiarType } from '../types/builtinTypes.ts';
import { DATA_LABEL, TEXT_LABEL } from '../types/labelTypes.ts';
import { flatMembers } from '../types/flatMembers.ts';
import { enclosingScopes, scopeOfName, splitPath, templateSpellings } from '../types/qualifiedNames.ts';
import { type StructType, type Type, sizeOf, strip } from '../types/type.ts';
import { childrenOf } from '../units/dieTree.ts';
import { originChain } from '../units/unitFunctions.ts';
import { findMember } from '../values/classMembers.ts';
import { OPTIMIZED_OUT, TargetValue } from '../values/targetValue.ts';
import { type EvaluationScope, evaluateNode } from './evaluator.ts';
import { parseExpression } from './parser.ts';
import { MAX_DEPTH } from './syntaxTree.ts';

export interface ElfSymbolPlace {
  readonly address: bigint;
  readonly isFunction: boolean;
}

export type ElfSymbolFinder = (name: string) => ElfSymbolPlace | undefined;

/**
 * Macros whose bodies lead here, and how many more may be looked into: each may name two that name two more.
 */
interface Expansion {
  readonly names: readonly string[];
  readonly count: { left: number };
}

const MAX_EXPANSIONS = 1000;

export class NameResolver {
  readonly #image: ScopeImage;
  readonly #names: ImageNames;
  readonly #elfSymbol: ElfSymbolFinder;
  readonly #scope: FrameScope;
  readonly #expanding: Expansion;
  #knownPrefixes: readonly string[] | undefined;

  constructor(
    image: ScopeImage,
    names: ImageNames,
    elfSymbol: ElfSymbolFinder,
    scope: FrameScope,
    expanding: Expansion = { names: [], count: { left: MAX_EXPANSIONS } },
  ) {
    this.#image = image;
    this.#names = names;
    this.#elfSymbol = elfSymbol;
    this.#scope = scope;
    this.#expanding = expanding;
  }

  evaluationScope(): EvaluationScope {
    const scope = this.#scope;
    return {
      world: scope.world,
      language: scope.language,
      variable: (name, file) => this.variable(name, file),
      type: (name) => this.type(name),
      dataMember: (name) => this.dataMember(name),
      register: (name) => registerByName(this.#image.machine, scope.frame.registers, name),
      isRegister: (name) => isRegisterName(this.#image.machine, name) || scope.frame.registers.has(name),
    };
  }

  /**
   * Whether a name is a type here, with no variable hiding it. Does not wait: types of units not indexed yet
   * are not seen.
   */
  isType(name: string): boolean {
    if (this.type(name) === undefined) return false;
    return this.#scope.language !== 'c' || !this.#isVariableNearby(name);
  }

  /** A type, function or variable whose template arguments are these. */
  isTemplate(name: string): boolean {
    return this.type(name) !== undefined || this.#spellings(name).some((one) => this.#definedSomewhere(one));
  }

  /** Whether nothing nearby has the name: it may then be a type that only the index knows. */
  isUnknown(name: string): boolean {
    return !this.#isVariableNearby(name) && this.type(name) === undefined;
  }

  type(name: string): Type | undefined {
    const { unit } = this.#scope;
    if (!/[\s:<]/.test(name) || /^(?:struct|union|class|enum) [^:<]+$/.test(name)) {
      const local = this.#scope.findType(name);
      if (local !== undefined) return local;
    }
    const [, keyword = '', bare = name] = /^((?:struct|union|class|enum) )(.+)$/.exec(name) ?? [];
    for (const prefix of this.#prefixes) {
      const found = this.#names.type(keyword + prefix + bare, unit);
      if (found !== undefined) return found;
    }
    return familiarType(name, this.#image.addressSize, this.#scope.language === 'rust');
  }

  async variable(name: string, file: string | undefined): Promise<TargetValue | undefined> {
    if (file !== undefined) return this.#firstPlaced(this.#names.inFile(name, file), name);
    const near = await this.#nearby(name);
    if (near !== undefined && near.place.kind !== 'missing') return near;
    const macro = await this.#macroValue(name);
    if (macro !== undefined) return macro;
    const global = await this.#global(name);
    if (global !== undefined) return global;
    const imported = name.includes('::') ? this.#names.anywhereEndingWith(name) : [];
    return (
      near ??
      (await this.#firstPlaced(imported, name)) ??
      (await this.#inFunction(name)) ??
      this.#untyped(name)
    );
  }

  /** The value of a macro's body here. Inside its own body the name is not a macro (C11 §6.10.3.4). */
  async #macroValue(name: string): Promise<TargetValue | undefined> {
    const image = this.#image;
    const scope = this.#scope;
    const expanding = this.#expanding;
    const macro =
      scope.address === undefined || expanding.names.includes(name)
        ? undefined
        : image.macro(name, scope.address);
    if (macro === undefined || macro.parameters !== undefined || macro.body === '') return undefined;
    if (expanding.count.left-- <= 0 || expanding.names.length >= MAX_DEPTH)
      throw new QueryError(`the macro ${name} expands to too many others`);
    const names = new NameResolver(image, this.#names, this.#elfSymbol, scope, {
      ...expanding,
      names: [...expanding.names, name],
    });
    try {
      const known = {
        language: scope.language,
        isType: (it: string) => names.isType(it),
        isTemplate: (it: string) => names.isTemplate(it),
      };
      return await evaluateNode(parseExpression(macro.body, known), names.evaluationScope(), macro.body);
    } catch (error) {
      if (!(error instanceof QueryError)) throw error;
      throw new QueryError(`${name} is the macro ${macro.body}: ${error.message}`);
    }
  }

  /**
   * Anywhere in the program. What was found is kept: searching a kernel's names takes longer than evaluating.
   */
  async #global(name: string): Promise<TargetValue | undefined> {
    const key = `${this.#prefixes[0] ?? ''}${name}`;
    const before = this.#names.found.get(key);
    if (before !== undefined) return this.#entryValue(before, name);
    await this.#names.ensureIndex(name);
    let first: TargetValue | undefined;
    for (const one of this.#spellings(name)) {
      for (const die of this.#names.anywhere(one)) {
        const value = await this.#entryValue(die, one);
        first ??= value;
        if (value.place.kind === 'missing') continue;
        this.#names.found.set(key, die, 1);
        return value;
      }
    }
    return first;
  }

  /** `Class::member` of a member that every object has. */
  dataMember(name: string): { owner: StructType; member: StructType['members'][number] } | undefined {
    const scope = scopeOfName(name);
    const owner = scope === undefined ? undefined : this.type(scope);
    const bare = owner && strip(owner);
    if (bare?.kind !== 'struct') return undefined;
    const simple = splitPath(name).at(-1);
    const member = flatMembers(bare).find((one) => one.name === simple);
    return member && { owner: bare, member };
  }

  /**
   * The prefixes that names are tried with: `outer::Circle::`, then its bases as `outer::Shape::`, `outer::`,
   * and nothing.
   */
  get #prefixes(): readonly string[] {
    return (this.#knownPrefixes ??= this.#findPrefixes());
  }

  #findPrefixes(): string[] {
    const { functionName, language, unit } = this.#scope;
    const scopes = enclosingScopes(functionName === undefined ? undefined : scopeOfName(functionName));
    if (language !== 'c++') return scopes;
    const withBases = scopes.flatMap((prefix) => {
      const type = prefix === '' ? undefined : this.#names.type(prefix.slice(0, -2), unit);
      return [prefix, ...(type === undefined ? [] : baseNames(type).map((name) => `${name}::`))];
    });
    return [...new Set(withBases)];
  }

  /** Locals, members of `this`, then what the current unit declares, from the inside out. */
  async #nearby(name: string): Promise<TargetValue | undefined> {
    const scope = this.#scope;
    const local = await scope.find(name);
    if (local !== undefined) return local;
    const member = await this.#memberOfThis(name);
    if (member !== undefined) return member;
    if (scope.unit === undefined) return undefined;
    let first: TargetValue | undefined;
    for (const one of this.#spellings(name)) {
      const found = await this.#firstPlaced(this.#names.inUnit(one, scope.unit), one);
      if (found !== undefined && found.place.kind !== 'missing') return found;
      first ??= found;
    }
    return first;
  }

  /** C++: inside a member function its class's members need no `this->`. */
  async #memberOfThis(name: string): Promise<TargetValue | undefined> {
    if (this.#scope.language !== 'c++') return undefined;
    const self = await this.#scope.find('this');
    if (self?.bare.kind !== 'pointer' || self.place.kind === 'missing') return undefined;
    const found = await findMember(await self.dereference(), name);
    return found?.as(found.type, /::/.test(found.expression) ? found.expression : `this->${name}`);
  }

  /** `main::calls`: a static variable of a function. */
  async #inFunction(name: string): Promise<TargetValue | undefined> {
    const owner = scopeOfName(name);
    const simple = splitPath(name).at(-1);
    if (owner === undefined || simple === undefined) return undefined;
    const functions = this.#spellings(owner).flatMap((one) => [
      ...(this.#scope.unit === undefined ? [] : this.#names.inUnit(one, this.#scope.unit)),
      ...this.#names.anywhere(one),
    ]);
    const found = functions
      .filter(({ tag }) => tag === DW_TAG.subprogram)
      .flatMap((die) => [...variablesIn(die, simple, 0)]);
    return this.#firstPlaced(found, name);
  }

  #isVariableNearby(name: string): boolean {
    const { unit } = this.#scope;
    if (this.#scope.declares(name)) return true;
    return unit !== undefined && this.#names.inUnit(name, unit).length > 0;
  }

  #definedSomewhere(name: string): boolean {
    const { unit } = this.#scope;
    return (
      (unit !== undefined && this.#names.inUnit(name, unit).length > 0) ||
      this.#names.anywhere(name).length > 0
    );
  }

  /** The name in every scope around the function, as each compiler spells it. */
  #spellings(name: string): string[] {
    return this.#prefixes.flatMap((prefix) => templateSpellings(prefix + name));
  }

  /** The first entry that has a place; if none has, the first. */
  async #firstPlaced(entries: readonly Die[], name: string): Promise<TargetValue | undefined> {
    let first: TargetValue | undefined;
    for (const die of entries) {
      const value = await this.#entryValue(die, name);
      if (value.place.kind !== 'missing') return value;
      first ??= value;
    }
    return first;
  }

  async #entryValue(die: Die, name: string): Promise<TargetValue> {
    const scope = this.#scope;
    if (die.tag === DW_TAG.enumeration_type) return this.#enumerator(die, name);
    if (die.tag !== DW_TAG.subprogram) return scope.valueOf(die, name);
    const chain = originChain(die);
    const type = this.#names.types.read(chain.at(-1) ?? die);
    const start = rangesOf(die)[0]?.start;
    const linkage = chain.find((one) => one.has(DW_AT.linkage_name))?.string(DW_AT.linkage_name);
    const address =
      start === undefined
        ? this.#image.symbolAddress(linkage ?? name)
        : this.#image.relocate(toUnsigned(start));
    const place =
      address === undefined
        ? ({ kind: 'missing', reason: OPTIMIZED_OUT } as const)
        : { kind: 'memory' as const, address };
    return new TargetValue(type, place, scope.world, name);
  }

  #enumerator(die: Die, name: string): TargetValue {
    const type = this.#names.types.read(die);
    const isSigned = type.kind === 'enum' && type.isSigned;
    let value = 0n;
    const simple = name.slice(name.lastIndexOf(':') + 1);
    for (const child of childrenOf(die)) {
      if (child.string(DW_AT.name) === simple) value = child.bigint(DW_AT.const_value, isSigned) ?? 0n;
    }
    const bytes = toBytes(BigInt.asUintN(64, value), sizeOf(type) ?? 4, this.#image.littleEndian);
    return new TargetValue(type, { kind: 'bytes', bytes }, this.#scope.world, name);
  }

  #untyped(name: string): TargetValue | undefined {
    const symbol = this.#elfSymbol(name);
    if (symbol === undefined) return undefined;
    const type = symbol.isFunction ? TEXT_LABEL : DATA_LABEL;
    return new TargetValue(type, { kind: 'memory', address: symbol.address }, this.#scope.world, name);
  }
}

const MAX_BASES = 64;

/** Every class a class is derived from, nearest first. */
function baseNames(type: Type): string[] {
  const found = new Set<string>();
  const queue = [strip(type)];
  for (let at = queue.shift(); at !== undefined && found.size < MAX_BASES; at = queue.shift()) {
    if (at.kind !== 'struct') continue;
    const bases = at.members.filter(({ isBase }) => isBase).map((member) => strip(member.type));
    queue.push(...bases.filter((base) => base.kind === 'struct' && !found.has(base.name ?? '')));
    for (const base of bases) if (base.kind === 'struct' && base.name !== undefined) found.add(base.name);
  }
  return [...found];
}

const MAX_BLOCKS = 32;

/** Variables of that name in a function and its blocks. */
function* variablesIn(parent: Die, name: string, depth: number): Generator<Die> {
  for (const child of childrenOf(parent)) {
    if (child.tag === DW_TAG.variable && originChain(child).some((die) => die.string(DW_AT.name) === name))
      yield child;
    if (child.tag === DW_TAG.lexical_block && depth < MAX_BLOCKS) yield* variablesIn(child, name, depth + 1);
  }
}

/** Variables and expressions of an image's frames: ties scopes, names and the evaluator together. */
import { DW_AT, DW_TAG } from '../dwarf/constants.ts';
import { toUnsigned } from '../dwarf/address.ts';
import type { Die } from '../dwarf/die.ts';
import { DwarfError } from '../dwarf/dwarfError.ts';
import { rangesOf } from '../dwarf/ranges.ts';
import { type EvaluationScope, evaluateAssign, evaluateNode } from './evaluator.ts';
import { parseExpression, parseTypeName } from './expressionParser.ts';
import { FrameScope, type ScopeImage } from './frameScope.ts';
import type { ImageNames } from './imageNames.ts';
import { registerByName } from './machineRegisters.ts';
import { QueryError } from './queryError.ts';
import type { Assignment, FrameContext, LocalDescription, Variable } from './symbolImage.ts';
import { childrenOf } from './dieTree.ts';
import { describe } from './typeDescription.ts';
import { type Type, sizeOf } from './types.ts';
import { originChain } from './unitFunctions.ts';
import { TargetValue, littleToMemory } from './value.ts';

/** A frame without registers or memory: for constants, sizes and addresses of globals. */
export const NO_FRAME: FrameContext = { registers: new Map(), memory: { read: async () => undefined } };

export interface ElfSymbolPlace {
  readonly address: bigint;
  readonly isFunction: boolean;
}

export class ImageQueries {
  private readonly image: ScopeImage;
  private readonly names: ImageNames;
  private readonly elfSymbol: (name: string) => ElfSymbolPlace | undefined;

  constructor(image: ScopeImage, names: ImageNames, elfSymbol: (name: string) => ElfSymbolPlace | undefined) {
    this.image = image;
    this.names = names;
    this.elfSymbol = elfSymbol;
  }

  async localsAt(frame: FrameContext, inlineDepth: number): Promise<Variable[]> {
    const variables = await new FrameScope(this.image, frame, inlineDepth).variables();
    return variables.map(({ name, value, isParameter, depth }) => ({
      name,
      value,
      isParameter,
      depth,
      expression: name,
    }));
  }

  /** Of every function of the chain, innermost first. */
  describeLocals(address: bigint, chain: readonly { readonly function: string }[]): LocalDescription[] {
    const pc = this.image.machine.names[this.image.machine.programCounter] as string;
    const frame = { ...NO_FRAME, registers: new Map([[pc, address]]) };
    return chain.flatMap((one, depth) =>
      new FrameScope(this.image, frame, depth)
        .describe()
        .map((local) => ({ ...local, function: one.function })),
    );
  }

  async evaluate(text: string, frame: FrameContext, inlineDepth: number): Promise<TargetValue> {
    return this.guard(async () => {
      const scope = new FrameScope(this.image, frame, inlineDepth);
      const node = await this.withTypes(text, scope);
      return evaluateNode(node, this.scopeOf(scope), text);
    });
  }

  async assign(place: string, value: string, frame: FrameContext, inlineDepth: number): Promise<Assignment> {
    return this.guard(async () => {
      const scope = new FrameScope(this.image, frame, inlineDepth);
      const [left, right] = [await this.withTypes(place, scope), await this.withTypes(value, scope)];
      return evaluateAssign(left, right, this.scopeOf(scope), place);
    });
  }

  async describeType(name: string): Promise<string | undefined> {
    // Templates and generics have spaces and angle brackets in their names: tried as they are first.
    const base = /[<>]/.test(name) ? name : parseTypeName(name).base;
    if (this.names.type(base, undefined) === undefined) await this.names.ensureIndex();
    const type = this.names.type(base, undefined);
    return type && describe(type, true);
  }

  /** Parses; when a name in parentheses may be a type of another unit, the index has to be there first. */
  private async withTypes(text: string, scope: FrameScope): Promise<ReturnType<typeof parseExpression>> {
    const isType = (name: string): boolean => this.names.type(name, scope.unit) !== undefined;
    try {
      return parseExpression(text, isType);
    } catch (error) {
      if (!(error instanceof QueryError)) throw error;
      await this.names.ensureIndex();
      return parseExpression(text, isType);
    }
  }

  private scopeOf(scope: FrameScope): EvaluationScope {
    const { addressSize, machine } = this.image;
    return {
      world: scope.world,
      addressSize,
      variable: (name, file) => this.variable(name, file, scope),
      type: (name) => this.names.type(name, scope.unit),
      register: (name) => registerByName(machine, scope.frame.registers, name),
    };
  }

  /** Innermost scope first; the file of the frame; then anywhere; then symbols without types. */
  private async variable(
    name: string,
    file: string | undefined,
    scope: FrameScope,
  ): Promise<TargetValue | undefined> {
    if (file !== undefined) return this.firstPlaced(this.names.inFile(name, file), name, scope);
    const local = await scope.find(name);
    if (local !== undefined) return local;
    const near = scope.unit === undefined ? [] : this.names.inUnit(name, scope.unit);
    const inUnit = await this.firstPlaced(near, name, scope);
    if (inUnit !== undefined && inUnit.place.kind !== 'missing') return inUnit;
    await this.names.ensureIndex();
    const found = (await this.firstPlaced(this.names.anywhere(name), name, scope)) ?? inUnit;
    return found ?? this.untyped(name, scope);
  }

  /** The first entry that has a place; if none has, the first. */
  private async firstPlaced(
    entries: readonly Die[],
    name: string,
    scope: FrameScope,
  ): Promise<TargetValue | undefined> {
    let first: TargetValue | undefined;
    for (const die of entries) {
      const value = await this.entryValue(die, name, scope);
      if (value.place.kind !== 'missing') return value;
      first ??= value;
    }
    return first;
  }

  private async entryValue(die: Die, name: string, scope: FrameScope): Promise<TargetValue> {
    if (die.tag === DW_TAG.enumeration_type) return this.enumerator(die, name, scope);
    if (die.tag !== DW_TAG.subprogram) return scope.valueOf(die, name);
    const type = this.names.types.read(originChain(die).at(-1) ?? die);
    const start = rangesOf(die)[0]?.start;
    const address =
      start === undefined ? this.image.symbolAddress(name) : this.image.relocate(toUnsigned(start));
    const place =
      address === undefined
        ? ({ kind: 'missing', reason: 'optimized out' } as const)
        : { kind: 'memory' as const, address };
    return new TargetValue(type, place, scope.world, name);
  }

  private enumerator(die: Die, name: string, scope: FrameScope): TargetValue {
    const type = this.names.types.read(die);
    const isSigned = type.kind === 'enum' && type.isSigned;
    let value = 0n;
    const simple = name.slice(name.lastIndexOf(':') + 1);
    for (const child of childrenOf(die)) {
      if (child.string(DW_AT.name) === simple) value = child.bigint(DW_AT.const_value, isSigned) ?? 0n;
    }
    const bytes = littleToMemory(BigInt.asUintN(64, value), sizeOf(type) ?? 4, this.image.littleEndian);
    return new TargetValue(type, { kind: 'bytes', bytes }, scope.world, name);
  }

  private untyped(name: string, scope: FrameScope): TargetValue | undefined {
    const symbol = this.elfSymbol(name);
    if (symbol === undefined) return undefined;
    const what = symbol.isFunction ? 'text' : 'data';
    const type: Type = { kind: 'unknown', name: `${what} variable, no debug info`, sizeBytes: undefined };
    return new TargetValue(type, { kind: 'memory', address: symbol.address }, scope.world, name);
  }

  private async guard<T>(question: () => Promise<T>): Promise<T> {
    try {
      return await question();
    } catch (error) {
      if (error instanceof DwarfError) throw new QueryError(error.message);
      throw error;
    }
  }
}

/**
 * Evaluates expression trees against a frame, or without one: C's conversions and arithmetic, C++'s members
 * and casts, Rust's fields. Assignments only say what to write.
 */
import { toBytes } from '../../dwarf/byteOrder.ts';
import { DW_ATE } from '../../dwarf/constants.ts';
import { QueryError } from '../base/queryError.ts';
import type { NamedRegister } from '../frames/machineRegisters.ts';
import { alignOf } from '../types/alignment.ts';
import { isFloatType } from '../types/scalarTypes.ts';
import {
  type BaseType,
  type Member,
  type StructType,
  type Type,
  VOID,
  sizeOf,
  strip,
  typeName,
} from '../types/type.ts';
import { compareValues, integerArithmetic, usualType } from '../values/cArithmetic.ts';
import { findMember, memberOf } from '../values/classMembers.ts';
import type { Language } from '../values/literals.ts';
import { rustView, sequenceElement } from '../values/rustValue.ts';
import { CHAR, Scalars, pointerOf } from '../values/scalars.ts';
import { characterKind } from '../values/stringText.ts';
import { NOT_SAVED, TargetValue, type ValueWorld } from '../values/targetValue.ts';
import { comparedText } from '../values/textComparison.ts';
import { castValue } from '../values/typeCasts.ts';
import type { Assignment } from '../values/value.ts';
import type { Node, TypeSyntax } from './syntaxTree.ts';

/** Where names come from. */
export interface EvaluationScope {
  readonly world: ValueWorld;
  readonly language: Language;
  variable(name: string, file: string | undefined): Promise<TargetValue | undefined>;
  /** A type by `struct node`, `unsigned long`, `word_t`. */
  type(name: string): Type | undefined;
  /** A data member by `Class::member`, for pointers to it. */
  dataMember(name: string): { readonly owner: StructType; readonly member: Member } | undefined;
  /** Undefined for an unknown register, and for a caller's register that nothing saved. */
  register(name: string): NamedRegister | undefined;
  isRegister(name: string): boolean;
  /** What types numbers and registers have; gdb's when absent. */
  readonly scalars?: Scalars;
}

type Binary = Node & { readonly kind: 'binary' };

/** Other requests are answered in between. */
const OPERATIONS_A_SLICE = 1000;
/** How much of a name a message quotes. */
const MAX_NAME = 200;
const MAX_ARRAY = 1 << 20;
const COMPARISONS = new Set(['==', '!=', '<', '>', '<=', '>=']);

export async function evaluateNode(node: Node, scope: EvaluationScope, text: string): Promise<TargetValue> {
  return new Evaluator(scope, text).value(node);
}

/** The write an assignment asks for. */
export async function evaluateAssign(
  place: Node,
  value: Node,
  scope: EvaluationScope,
  text: string,
): Promise<Assignment> {
  return new Evaluator(scope, text).assignment(place, value);
}

class Evaluator {
  readonly #scope: EvaluationScope;
  readonly #text: string;
  readonly #scalars: Scalars;
  #operations = 0;

  constructor(scope: EvaluationScope, text: string) {
    this.#scope = scope;
    this.#text = text;
    this.#scalars = scope.scalars ?? new Scalars(scope.world, scope.language);
  }

  async value(node: Node): Promise<TargetValue> {
    // Whatever is wrong with the value, this part of the expression asked for it.
    return this.#at(node.column, () => this.#valueOf(node));
  }

  async assignment(place: Node, value: Node): Promise<Assignment> {
    const target = await this.#scalars.referred(await this.value(place));
    const source = await this.value(value);
    const { bare } = target;
    if (bare.kind === 'array' && value.kind === 'string' && characterKind(bare.element)?.sizeBytes === 1)
      return this.#textAssignment(target, await source.bytes(), bare.count ?? 0, value.column);
    if (bare.kind === 'struct' || bare.kind === 'array') {
      if (typeName(source.type) !== typeName(target.type) || target.address === undefined)
        throw new QueryError(`a value of type ${target.typeName} cannot be set as a whole`, place.column);
      return { kind: 'memory', address: target.address, bytes: await source.bytes() };
    }
    return this.#at(value.column, async () => {
      const converted = await castValue(source, target.type, this.#scalars);
      return target.assignBits(await converted.unsigned());
    });
  }

  /** As C initialises an array: the zero at the end may find no room (C11 §6.7.9p14). */
  #textAssignment(target: TargetValue, text: Uint8Array, room: number, column: number): Assignment {
    if (target.address === undefined || text.length - 1 > room)
      throw new QueryError(`there is room for ${room} characters`, column);
    return { kind: 'memory', address: target.address, bytes: text.subarray(0, room) };
  }

  async #valueOf(node: Node): Promise<TargetValue> {
    switch (node.kind) {
      case 'integer':
        return this.#constant(this.#scalars.literalType(node.value, node.text), node.value);
      case 'float':
        return this.#scalars.float(this.#scalars.floatType(node.text), node.value, this.#text);
      case 'string':
        return this.#string(node.value);
      case 'name':
        return this.#name(node);
      case 'register':
        return this.#register(node.name, node.column);
      case 'unary':
        return this.#unary(node.operator, node.operand);
      case 'binary':
        return this.#row(node);
      case 'conditional':
        return this.value((await this.#truth(node.test)) ? node.yes : node.no);
      case 'cast':
        return castValue(await this.value(node.operand), this.#resolve(node.type), this.#scalars);
      case 'member':
        return this.#member(await this.value(node.owner), node.name);
      case 'index':
        return this.#index(await this.value(node.array), await this.value(node.index));
      case 'sizeofType':
      case 'sizeof':
        return this.#measured(sizeOf, await this.#typeOf(node));
      case 'alignofType':
      case 'alignof':
        return this.#measured(alignOf, await this.#typeOf(node));
      case 'assign':
        throw new QueryError('an assignment is not allowed here', node.column);
    }
  }

  async #name(node: Node & { kind: 'name' }): Promise<TargetValue> {
    const value = await this.#scope.variable(node.name, node.file);
    if (value !== undefined) return value;
    if (node.file === undefined) {
      if (node.name === 'true' || node.name === 'false') return this.#truthValue(node.name === 'true');
      if (node.name === 'nullptr' || node.name === 'NULL')
        return this.#constant(this.#scalars.pointerTo(VOID), 0n);
      // A name the program does not have may be a register, as it is where there are no symbols.
      const register = node.name.toLowerCase();
      if (this.#scope.isRegister(register)) return this.#register(register, node.column);
    }
    const where = node.file === undefined ? '' : ` in ${node.file}`;
    const name = node.name.length > MAX_NAME ? `${node.name.slice(0, MAX_NAME)}…` : node.name;
    throw new QueryError(`no symbol "${name}"${where} in the current context`, node.column, 'unknownName');
  }

  #truthValue(value: boolean): TargetValue {
    const type: BaseType = { kind: 'base', name: 'bool', encoding: DW_ATE.boolean, sizeBytes: 1 };
    return this.#constant(type, value ? 1n : 0n);
  }

  #string(value: string): TargetValue {
    const bytes = new TextEncoder().encode(`${value}\0`);
    const type: Type = { kind: 'array', element: CHAR, count: bytes.length };
    return new TargetValue(type, { kind: 'bytes', bytes }, this.#scope.world, this.#text);
  }

  #register(name: string, column: number): TargetValue {
    const register = this.#scope.register(name);
    if (register === undefined) {
      if (!this.#scope.isRegister(name)) throw new QueryError(`no register $${name}`, column, 'unknownName');
      return new TargetValue(
        this.#scalars.long,
        { kind: 'missing', reason: NOT_SAVED },
        this.#scope.world,
        `$${name}`,
      );
    }
    const { value, sizeBytes, full, offsetBytes, fullValue } = register;
    const bytes = toBytes(value, sizeBytes, this.#scope.world.littleEndian);
    return new TargetValue(
      this.#scalars.registerType(register),
      {
        kind: 'bytes',
        bytes,
        register: { name: full, value: fullValue, offsetBytes, wholeBytes: sizeBytes },
      },
      this.#scope.world,
      `$${name}`,
    );
  }

  async #unary(operator: string, operand: Node): Promise<TargetValue> {
    if (operator === '&') return this.#addressOf(operand);
    const value = await this.value(operand);
    if (operator === '*') return this.#dereference(value);
    const scalar = await this.#scalars.decayed(value);
    if (operator === '!' && !this.#isRustInteger(scalar))
      return this.#scalars.logical(!(await this.#scalars.truth(scalar)), this.#text);
    const type = this.#scalars.arithmeticType(scalar);
    if (type.encoding === DW_ATE.float) {
      if (operator === '~') throw new QueryError('~ needs an integer');
      const number = await this.#scalars.number(scalar);
      return this.#scalars.float(type, operator === '-' ? -number : number, this.#text);
    }
    const bits = await this.#scalars.integer(scalar);
    const result = operator === '-' ? -bits : operator === '+' ? bits : ~bits;
    return this.#constant(this.#isRust ? type : usualType(type, this.#scalars.int), result);
  }

  /** Rust's `!` turns the bits of a number around, and truth values only where they are bool. */
  #isRustInteger(value: TargetValue): boolean {
    const { bare } = value;
    return this.#isRust && bare.kind === 'base' && bare.encoding !== DW_ATE.boolean && !isFloatType(bare);
  }

  /** `a + b + c …` from the left, without recursion: a row may have thousands of operators. */
  async #row(last: Binary): Promise<TargetValue> {
    const operations: Binary[] = [];
    let first: Node = last;
    for (; first.kind === 'binary'; first = first.left) operations.push(first);
    let result = await this.value(first);
    for (const operation of operations.reverse()) {
      if (++this.#operations % OPERATIONS_A_SLICE === 0) await otherWork();
      const before = result;
      result = await this.#at(operation.column, () => this.#binary(operation, before));
    }
    return result;
  }

  async #binary({ operator, left, right, column }: Binary, x: TargetValue): Promise<TargetValue> {
    if (operator === '&&' || operator === '||') {
      const isTrue = await this.#at(left.column, () => this.#isTrue(x));
      return this.#logical(isTrue === (operator === '||') ? isTrue : await this.#truth(right));
    }
    const y = await this.value(right);
    if (operator === '.*' || operator === '->*')
      return memberOf(operator === '.*' ? await this.#scalars.referred(x) : await x.dereference(), y);
    if (operator === '@') return this.#repeated(x, y);
    if (left.kind === 'string' || right.kind === 'string') return this.#compareText(operator, x, y);
    return this.#at(column, () => this.#arithmetic(operator, x, y));
  }

  async #arithmetic(operator: string, left: TargetValue, right: TargetValue): Promise<TargetValue> {
    const scalars = this.#scalars;
    const [a, b] = [await scalars.decayed(left), await scalars.decayed(right)];
    if (pointerOf(a) !== undefined || pointerOf(b) !== undefined)
      return this.#pointerArithmetic(operator, a, b);
    const type = usualType(scalars.arithmeticType(a), scalars.arithmeticType(b));
    if (type.encoding === DW_ATE.float) return this.#floatArithmetic(operator, a, b, type);
    const x = scalars.converted(await scalars.integer(a), type);
    const y = scalars.converted(await scalars.integer(b), type);
    if (COMPARISONS.has(operator)) return this.#logical(compareValues(operator, x, y));
    const result = integerArithmetic(operator, x, y);
    if (result === undefined) throw new QueryError('division by zero');
    // A shift has the type of its left side only.
    const isShift = operator === '<<' || operator === '>>';
    return this.#constant(isShift ? usualType(scalars.arithmeticType(a), scalars.int) : type, result);
  }

  async #floatArithmetic(
    operator: string,
    a: TargetValue,
    b: TargetValue,
    type: BaseType,
  ): Promise<TargetValue> {
    const [x, y] = [await this.#scalars.number(a), await this.#scalars.number(b)];
    if (COMPARISONS.has(operator)) return this.#logical(compareValues(operator, x, y));
    const compute = FLOAT_OPERATORS[operator];
    if (compute === undefined) throw new QueryError(`${operator} needs integers`);
    return this.#scalars.float(type, compute(x, y), this.#text);
  }

  async #pointerArithmetic(operator: string, a: TargetValue, b: TargetValue): Promise<TargetValue> {
    const scalars = this.#scalars;
    const [aPointer, bPointer] = [pointerOf(a), pointerOf(b)];
    if (COMPARISONS.has(operator))
      return this.#logical(compareValues(operator, await this.#addressBits(a), await this.#addressBits(b)));
    const step = BigInt(sizeOf((aPointer ?? bPointer)?.target ?? VOID) ?? 1);
    if (operator === '-' && aPointer !== undefined && bPointer !== undefined) {
      const distance = BigInt.asIntN(
        8 * this.#scope.world.addressSize,
        (await a.unsigned()) - (await b.unsigned()),
      );
      return this.#constant(scalars.long, distance / (step === 0n ? 1n : step));
    }
    if (operator === '+' && bPointer !== undefined && aPointer === undefined)
      return this.#constant(bPointer, (await b.unsigned()) + (await scalars.integer(a)) * step);
    if ((operator === '+' || operator === '-') && aPointer !== undefined && bPointer === undefined) {
      const distance = (await scalars.integer(b)) * step;
      return this.#constant(aPointer, (await a.unsigned()) + (operator === '+' ? distance : -distance));
    }
    // Alignment masks: `p & ~0xfff` has no meaning in C, but it cannot mean anything else.
    const result = integerArithmetic(operator, await scalars.integer(a), await scalars.integer(b));
    if (result === undefined || !'&|^%'.includes(operator))
      throw new QueryError(`${operator} of ${a.typeName} and ${b.typeName} has no meaning`);
    return this.#constant(scalars.unsignedLong, result);
  }

  async #addressBits(value: TargetValue): Promise<bigint> {
    return BigInt.asUintN(8 * this.#scope.world.addressSize, await this.#scalars.integer(value));
  }

  /** `name == "idle"`: whether the text is the same, which the addresses would not show. */
  async #compareText(operator: string, a: TargetValue, b: TargetValue): Promise<TargetValue> {
    if (operator !== '==' && operator !== '!=')
      throw new QueryError(`${operator} of ${a.typeName} and ${b.typeName} has no meaning`);
    const [x, y] = [await comparedText(a), await comparedText(b)];
    if (x === undefined || y === undefined) throw new QueryError('only text can be compared with a string');
    return this.#logical((x === y) === (operator === '=='));
  }

  /** gdb's `*p@3`: that many objects in a row. */
  async #repeated(first: TargetValue, count: TargetValue): Promise<TargetValue> {
    const number = Number(await this.#scalars.integer(count));
    if (first.address === undefined) throw new QueryError(`${first.expression} is not in memory`);
    if (number < 1 || number > MAX_ARRAY) throw new QueryError(`an array of ${number} elements`);
    return first.as({ kind: 'array', element: first.type, count: number }, `${first.expression}@${number}`);
  }

  async #member(object: TargetValue, name: string): Promise<TargetValue> {
    const owner = await this.#scalars.referred(object);
    // `.` and `->` are interchangeable, as in gdb: what is meant is never in doubt.
    const struct = pointerOf(owner) === undefined ? owner : await owner.dereference();
    const inner = struct.bare;
    if (inner.kind !== 'struct') throw new QueryError(`${owner.typeName} has no members`);
    const member = await findMember(struct, name);
    if (member !== undefined) return member;
    const why = inner.incomplete ? 'is incomplete' : `has no member named ${name}`;
    throw new QueryError(`${typeName(inner)} ${why}`);
  }

  async #index(owner: TargetValue, index: TargetValue): Promise<TargetValue> {
    const at = Number(await this.#scalars.integer(await this.#scalars.decayed(index)));
    const array = await this.#scalars.referred(owner);
    if (array.bare.kind === 'array') return array.element(at);
    const view = await rustView(array);
    if (view?.kind === 'sequence') {
      if (at < 0 || at >= view.count) throw new QueryError(`there are ${view.count} elements`);
      return sequenceElement(array, view, at);
    }
    const pointer = pointerOf(array);
    if (pointer === undefined) throw new QueryError(`${owner.typeName} cannot be indexed`);
    const element = (await array.dereference()).offset(at * (sizeOf(pointer.target) ?? 1));
    return element.as(element.type, `${array.expression}[${at}]`);
  }

  async #addressOf(operand: Node): Promise<TargetValue> {
    const found =
      operand.kind === 'name' && operand.file === undefined ? this.#memberPointer(operand.name) : undefined;
    if (found !== undefined) return found;
    const value = await this.#scalars.referred(await this.value(operand));
    if (value.address === undefined) return this.#scalars.addressOfConstant(value);
    return this.#scalars.constant(
      this.#scalars.pointerTo(value.type),
      value.address,
      /^\w+$/.test(value.expression) ? `&${value.expression}` : `&(${value.expression})`,
    );
  }

  /** `&Class::member` without an object: its offset in every object. */
  #memberPointer(name: string): TargetValue | undefined {
    const found = this.#scope.dataMember(name);
    if (found === undefined) return undefined;
    const { owner, member } = found;
    return this.#constant(this.#memberPointerType(owner, member.type), BigInt(member.offsetBytes));
  }

  #memberPointerType(owner: Type, target: Type): Type {
    const words = target.kind === 'function' ? 2 : 1;
    return { kind: 'memberPointer', owner, target, sizeBytes: words * this.#scope.world.addressSize };
  }

  /** A pointer's target; an array's first element; an integer as the address of a word. */
  async #dereference(operand: TargetValue): Promise<TargetValue> {
    const value = await this.#scalars.referred(operand);
    const { bare } = value;
    if (bare.kind === 'array') return value.element(bare.lowerBound ?? 0);
    if (bare.kind === 'function') return value;
    if (bare.kind === 'pointer') {
      if (strip(bare.target).kind === 'void')
        throw new QueryError('a void * leads to nothing: cast it first');
      return value.dereference();
    }
    const view = await rustView(value);
    if (view?.kind === 'shared') return view.value;
    if (bare.kind !== 'base') throw new QueryError(`${value.typeName} is not a pointer`);
    const pointer = this.#scalars.pointerTo(this.#scalars.word);
    return this.#constant(pointer, await this.#scalars.integer(value)).dereference();
  }

  async #typeOf(
    node: Extract<Node, { kind: 'sizeof' | 'sizeofType' | 'alignof' | 'alignofType' }>,
  ): Promise<Type> {
    if ('type' in node) return this.#resolve(node.type);
    const { bare, type } = await this.value(node.operand);
    return bare.kind === 'pointer' && bare.sigil !== '*' ? bare.target : type;
  }

  #measured(measure: (type: Type) => number | undefined, type: Type): TargetValue {
    const size = measure(type);
    if (size === undefined) throw new QueryError(`${typeName(type)} has no size`);
    return this.#constant(this.#scalars.unsignedLong, BigInt(size));
  }

  #resolve({ base, layers, column }: TypeSyntax): Type {
    let type = this.#scope.type(base);
    if (type === undefined) throw new QueryError(`no type named ${base}`, column);
    for (const layer of layers) {
      switch (layer.kind) {
        case 'pointer':
          type = { ...this.#scalars.pointerTo(type), sigil: layer.sigil };
          break;
        case 'array':
          if (layer.count > MAX_ARRAY) throw new QueryError(`array of ${layer.count} elements`, column);
          type = { kind: 'array', element: type, count: layer.count };
          break;
        case 'function': {
          const parameters = layer.parameters.map((parameter) => this.#resolve(parameter));
          type = { kind: 'function', result: type, parameters, variadic: layer.variadic, prototyped: true };
          break;
        }
        case 'memberPointer': {
          const owner = this.#scope.type(layer.owner);
          if (owner === undefined) throw new QueryError(`no type named ${layer.owner}`, column);
          type = this.#memberPointerType(owner, type);
          break;
        }
      }
    }
    return type;
  }

  async #truth(node: Node): Promise<boolean> {
    const value = await this.value(node);
    return this.#at(node.column, () => this.#isTrue(value));
  }

  async #isTrue(value: TargetValue): Promise<boolean> {
    return this.#scalars.truth(await this.#scalars.decayed(value));
  }

  get #isRust(): boolean {
    return this.#scope.language === 'rust';
  }

  #constant(type: Type, value: bigint): TargetValue {
    return this.#scalars.constant(type, value, this.#text);
  }

  #logical(value: boolean): TargetValue {
    return this.#scalars.logical(value, this.#text);
  }

  /** Gives a value's errors the column of the part of the expression that asked for it. */
  async #at<T>(column: number, compute: () => Promise<T>): Promise<T> {
    try {
      return await compute();
    } catch (error) {
      if (error instanceof QueryError && error.column === undefined) throw error.at(column);
      throw error;
    }
  }
}

function otherWork(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

const FLOAT_OPERATORS: Readonly<Record<string, (a: number, b: number) => number>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
};

/** Evaluates expression trees against a frame, or without one. C's conversions and arithmetic; assignments only say what to write. */
import { DW_ATE } from '../dwarf/constants.ts';
import { compareValues, integerArithmetic, usualType } from './cArithmetic.ts';
import type { Node, TypeSyntax } from './expressionParser.ts';
import { QueryError } from './queryError.ts';
import { floatBits } from './scalarText.ts';
import type { Assignment } from './symbolImage.ts';
import { type BaseType, type PointerType, type Type, sizeOf, strip, typeName } from './types.ts';
import { TargetValue, type ValueWorld, littleToMemory } from './value.ts';

/** Where names come from. */
export interface EvaluationScope {
  readonly world: ValueWorld;
  readonly addressSize: number;
  variable(name: string, file: string | undefined): Promise<TargetValue | undefined>;
  /** A type by `struct node`, `unsigned long`, `word_t`. */
  type(name: string): Type | undefined;
  register(
    name: string,
  ): { value: bigint; sizeBytes: number; full: string; offsetBytes: number; fullValue: bigint } | undefined;
}

const MAX_ARRAY = 1 << 20;

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
  private readonly scope: EvaluationScope;
  private readonly text: string;
  private readonly int: BaseType;

  constructor(scope: EvaluationScope, text: string) {
    this.scope = scope;
    this.text = text;
    this.int = { kind: 'base', name: 'int', encoding: DW_ATE.signed, sizeBytes: 4 };
  }

  async value(node: Node): Promise<TargetValue> {
    switch (node.kind) {
      case 'integer':
        return this.constant(this.literalType(node.value, node.text), node.value);
      case 'float':
        return this.constant(DOUBLE, floatBits(node.value, 8, ''));
      case 'name':
        return this.name(node);
      case 'register':
        return this.register(node.name, node.column);
      case 'unary':
        return this.unary(node.operator, node.operand, node.column);
      case 'binary':
        return this.binary(node.operator, node.left, node.right, node.column);
      case 'conditional':
        return this.value((await this.truth(node.test)) ? node.yes : node.no);
      case 'cast':
        return this.cast(await this.value(node.operand), this.resolve(node.type), node.column);
      case 'member':
        return this.member(await this.value(node.owner), node.name, node.column);
      case 'index':
        return this.index(await this.value(node.array), await this.value(node.index), node.column);
      case 'sizeofType':
        return this.size(this.resolve(node.type), node.column);
      case 'sizeof':
        return this.size((await this.value(node.operand)).type, node.column);
      case 'assign':
        throw new QueryError('an assignment is not allowed here', node.column);
    }
  }

  async assignment(place: Node, value: Node): Promise<Assignment> {
    const target = await this.value(place);
    const source = await this.value(value);
    const bare = strip(target.type);
    if (bare.kind === 'struct' || bare.kind === 'array') {
      if (typeName(source.type) !== typeName(target.type) || target.address === undefined) {
        throw new QueryError(`a value of type ${target.typeName} cannot be set as a whole`, place.column);
      }
      return { kind: 'memory', address: target.address, bytes: await source.bytes() };
    }
    const converted = await this.cast(source, target.type, value.column);
    return this.at(value.column, async () => target.assignBits(await converted.unsigned()));
  }

  private async name(node: Node & { kind: 'name' }): Promise<TargetValue> {
    const value = await this.scope.variable(node.name, node.file);
    if (value !== undefined) return value;
    const where = node.file === undefined ? '' : ` in ${node.file}`;
    throw new QueryError(`no symbol "${node.name}"${where} in the current context`, node.column);
  }

  private register(name: string, column: number): TargetValue {
    const register = this.scope.register(name);
    if (register === undefined) throw new QueryError(`no register $${name}`, column);
    const { value, sizeBytes, full, offsetBytes, fullValue } = register;
    const type: BaseType = {
      kind: 'base',
      name: REGISTER_TYPES[sizeBytes] ?? 'unsigned long',
      encoding: DW_ATE.unsigned,
      sizeBytes,
    };
    const bytes = littleToMemory(value, sizeBytes, this.scope.world.littleEndian);
    return new TargetValue(
      type,
      { kind: 'bytes', bytes, register: { name: full, value: fullValue, offsetBytes } },
      this.scope.world,
      `$${name}`,
    );
  }

  private async unary(operator: string, operand: Node, column: number): Promise<TargetValue> {
    const value = await this.value(operand);
    switch (operator) {
      case '&':
        return this.addressOf(value, column);
      case '*':
        return this.at(column, () => this.dereference(value, column));
      case '!':
        return this.constant(this.int, (await this.truth(operand)) ? 0n : 1n);
      default: {
        const type = await this.arithmeticType(value, column);
        if (type.encoding === DW_ATE.float) {
          if (operator === '~') throw new QueryError('~ needs an integer', column);
          const number = await this.number(value);
          return this.constant(type, floatBits(operator === '-' ? -number : number, type.sizeBytes, ''));
        }
        const promoted = usualType(type, this.int);
        const bits = await this.integer(value);
        return this.constant(promoted, operator === '-' ? -bits : operator === '~' ? ~bits : bits);
      }
    }
  }

  private async binary(operator: string, left: Node, right: Node, column: number): Promise<TargetValue> {
    if (operator === '&&') return this.logical((await this.truth(left)) && (await this.truth(right)));
    if (operator === '||') return this.logical((await this.truth(left)) || (await this.truth(right)));
    const a = await this.decayed(await this.value(left));
    const b = await this.decayed(await this.value(right));
    const aPointer = pointerOf(a);
    const bPointer = pointerOf(b);
    if (isComparison(operator) && (aPointer !== undefined || bPointer !== undefined)) {
      return this.logical(compareValues(operator, await a.unsigned(), await this.pointerBits(b)));
    }
    if (aPointer !== undefined || bPointer !== undefined)
      return this.pointerArithmetic(operator, a, b, column);
    const type = usualType(await this.arithmeticType(a, column), await this.arithmeticType(b, column));
    if (type.encoding === DW_ATE.float)
      return this.floatArithmetic(operator, await this.number(a), await this.number(b), type, column);
    const x = this.converted(await this.integer(a), type);
    const y = this.converted(await this.integer(b), type);
    if (isComparison(operator)) return this.logical(compareValues(operator, x, y));
    const result = integerArithmetic(operator, x, y);
    if (result === undefined) throw new QueryError('division by zero', column);
    // A shift has the type of its left side alone.
    const resultType =
      operator === '<<' || operator === '>>'
        ? usualType(await this.arithmeticType(a, column), this.int)
        : type;
    return this.constant(resultType, result);
  }

  private floatArithmetic(
    operator: string,
    a: number,
    b: number,
    type: BaseType,
    column: number,
  ): TargetValue {
    if (isComparison(operator)) return this.logical(compareValues(operator, a, b));
    const compute = FLOAT_OPERATORS[operator];
    if (compute === undefined) throw new QueryError(`${operator} needs integers`, column);
    const result = compute(a, b);
    return this.constant(type, floatBits(result, type.sizeBytes, 'nan'));
  }

  private async pointerArithmetic(
    operator: string,
    a: TargetValue,
    b: TargetValue,
    column: number,
  ): Promise<TargetValue> {
    const [aPointer, bPointer] = [pointerOf(a), pointerOf(b)];
    const step = BigInt(sizeOf(aPointer?.target ?? bPointer?.target ?? this.int) ?? 1);
    if (operator === '-' && aPointer !== undefined && bPointer !== undefined) {
      const long: BaseType = {
        kind: 'base',
        name: 'long',
        encoding: DW_ATE.signed,
        sizeBytes: this.scope.addressSize,
      };
      return this.constant(
        long,
        BigInt.asIntN(64, (await a.unsigned()) - (await b.unsigned())) / (step === 0n ? 1n : step),
      );
    }
    if (operator === '+' && bPointer !== undefined && aPointer === undefined) {
      return this.constant(bPointer, (await b.unsigned()) + (await this.integer(a)) * step);
    }
    if ((operator === '+' || operator === '-') && aPointer !== undefined && bPointer === undefined) {
      const distance = (await this.integer(b)) * step;
      return this.constant(aPointer, (await a.unsigned()) + (operator === '+' ? distance : -distance));
    }
    throw new QueryError(`${operator} of ${a.typeName} and ${b.typeName} has no meaning`, column);
  }

  private async member(owner: TargetValue, name: string, column: number): Promise<TargetValue> {
    // `.` and `->` are taken for each other, as gdb does: what is meant is never in doubt.
    const struct = pointerOf(owner) === undefined ? owner : await this.at(column, () => owner.dereference());
    const inner = strip(struct.type);
    if (inner.kind !== 'struct') throw new QueryError(`${owner.typeName} has no members`, column);
    const member = struct.member(name);
    if (member === undefined) {
      const why = inner.incomplete ? 'is incomplete' : `has no member named ${name}`;
      throw new QueryError(`${typeName(inner)} ${why}`, column);
    }
    return member;
  }

  private async index(array: TargetValue, index: TargetValue, column: number): Promise<TargetValue> {
    const at = Number(await this.integer(index));
    const bare = strip(array.type);
    if (bare.kind === 'array') return this.at(column, async () => array.element(at));
    const pointer = pointerOf(array);
    if (pointer === undefined) throw new QueryError(`${array.typeName} cannot be indexed`, column);
    const size = sizeOf(pointer.target) ?? 1;
    const first = await this.at(column, () => array.dereference());
    const element = first.offset(at * size);
    return new TargetValue(element.type, element.place, this.scope.world, `${array.expression}[${at}]`);
  }

  private addressOf(value: TargetValue, column: number): TargetValue {
    if (value.address === undefined) throw new QueryError(`${value.expression} is not in memory`, column);
    return this.constant(this.pointerTo(value.type), value.address, `&${value.expression}`);
  }

  /** A pointer's target; an array's first element; an integer as the address of a long, as gdb has it. */
  private async dereference(value: TargetValue, column: number): Promise<TargetValue> {
    const bare = strip(value.type);
    if (bare.kind === 'array') return value.element(0);
    if (bare.kind === 'function') return value;
    if (bare.kind === 'pointer') {
      if (strip(bare.target).kind === 'void')
        throw new QueryError('a void * leads to nothing: cast it first', column);
      return value.dereference();
    }
    if (bare.kind !== 'base') throw new QueryError(`${value.typeName} is no pointer`, column);
    const long: BaseType = {
      kind: 'base',
      name: 'long',
      encoding: DW_ATE.signed,
      sizeBytes: this.scope.addressSize,
    };
    return this.constant(this.pointerTo(long), await this.integer(value)).dereference();
  }

  private async cast(value: TargetValue, type: Type, column: number): Promise<TargetValue> {
    const to = strip(type);
    if (to.kind === 'struct' || to.kind === 'array') {
      // Bytes seen as another type: gdb allows it for values in memory of any size.
      if (value.place.kind === 'memory')
        return new TargetValue(type, value.place, this.scope.world, value.expression);
      throw new QueryError(`cannot cast ${value.typeName} to ${typeName(type)}`, column);
    }
    if (strip(value.type).kind === 'unknown' && value.place.kind === 'memory') {
      return new TargetValue(type, value.place, this.scope.world, value.expression);
    }
    const from = await this.decayed(value);
    const fromFloat = isFloat(strip(from.type));
    if (to.kind === 'base' && to.encoding === DW_ATE.float) {
      const number = fromFloat ? await this.number(from) : Number(await this.integer(from));
      return this.constant(type, floatBits(number, to.sizeBytes, 'nan'));
    }
    if (to.kind === 'void')
      return new TargetValue(type, { kind: 'missing', reason: 'void' }, this.scope.world, value.expression);
    const bits = fromFloat ? BigInt(Math.trunc((await this.number(from)) || 0)) : await this.integer(from);
    const isBoolean = to.kind === 'base' && to.encoding === DW_ATE.boolean;
    return this.constant(type, isBoolean ? (bits === 0n ? 0n : 1n) : bits);
  }

  /** Arrays and functions as pointers to what they begin with. */
  private async decayed(value: TargetValue): Promise<TargetValue> {
    const bare = strip(value.type);
    if (bare.kind === 'pointer' && bare.sigil !== '*') return value.dereference();
    if (bare.kind !== 'array' && bare.kind !== 'function') return value;
    if (value.address === undefined) throw new QueryError(`${value.expression} is not in memory`);
    const target = bare.kind === 'array' ? bare.element : bare;
    return this.constant(this.pointerTo(target), value.address, value.expression);
  }

  private size(type: Type, column: number): TargetValue {
    const size = sizeOf(type);
    if (size === undefined) throw new QueryError(`${typeName(type)} has no size`, column);
    const long: BaseType = {
      kind: 'base',
      name: 'unsigned long',
      encoding: DW_ATE.unsigned,
      sizeBytes: this.scope.addressSize,
    };
    return this.constant(long, BigInt(size));
  }

  private resolve(syntax: TypeSyntax): Type {
    let type = this.scope.type(syntax.base);
    if (type === undefined) throw new QueryError(`no type named ${syntax.base}`, syntax.column);
    for (let level = 0; level < syntax.pointers; level++) type = this.pointerTo(type);
    for (const count of [...syntax.counts].reverse()) {
      if (count > MAX_ARRAY) throw new QueryError(`array of ${count} elements`, syntax.column);
      type = { kind: 'array', element: type, count };
    }
    return type;
  }

  private async truth(node: Node): Promise<boolean> {
    const value = await this.decayed(await this.value(node));
    if (isFloat(strip(value.type))) return (await this.number(value)) !== 0;
    return (await this.integer(value)) !== 0n;
  }

  /** A scalar as a signed or unsigned integer, as its type has it. */
  private async integer(value: TargetValue): Promise<bigint> {
    const bare = strip(value.type);
    const bits = await this.at(undefined, () => value.unsigned());
    if (isFloat(bare)) return BigInt(Math.trunc(await this.number(value)));
    if (bare.kind === 'struct' || bare.kind === 'array')
      throw new QueryError(`${value.typeName} is no number`);
    const signed =
      (bare.kind === 'base' && (bare.encoding === DW_ATE.signed || bare.encoding === DW_ATE.signed_char)) ||
      (bare.kind === 'enum' && bare.isSigned);
    const width = value.bits?.size ?? 8 * (sizeOf(bare) ?? 8);
    return signed ? BigInt.asIntN(width, bits) : bits;
  }

  private async number(value: TargetValue): Promise<number> {
    const bare = strip(value.type);
    if (!isFloat(bare) || bare.kind !== 'base') return Number(await this.integer(value));
    const bytes = littleToMemory(await value.unsigned(), bare.sizeBytes, true);
    const view = new DataView(bytes.buffer);
    if (bare.sizeBytes === 4) return view.getFloat32(0, true);
    if (bare.sizeBytes === 8) return view.getFloat64(0, true);
    return Number(await value.display()); // long double: as precise as a number can be
  }

  private async pointerBits(value: TargetValue): Promise<bigint> {
    return BigInt.asUintN(8 * this.scope.addressSize, await this.integer(value));
  }

  private async arithmeticType(value: TargetValue, column: number): Promise<BaseType> {
    const bare = strip(value.type);
    if (bare.kind === 'base') return bare;
    if (bare.kind === 'enum') {
      return {
        kind: 'base',
        name: 'int',
        encoding: bare.isSigned ? DW_ATE.signed : DW_ATE.unsigned,
        sizeBytes: bare.sizeBytes,
      };
    }
    throw new QueryError(`${value.typeName} is no number`, column);
  }

  /** C11 §6.4.4.1: decimal literals stay signed while they fit; hexadecimal and octal ones may become unsigned first. */
  private literalType(value: bigint, text: string): BaseType {
    const suffix = /^'/.test(text) ? '' : (/[uUlL]*$/.exec(text)?.[0].toLowerCase() ?? '');
    const isDecimal = /^[1-9]/.test(text);
    const mayBeUnsigned = suffix.includes('u') || !isDecimal;
    const mustBeUnsigned = suffix.includes('u');
    const fits = (bits: bigint, unsigned: boolean): boolean => value < 1n << (unsigned ? bits : bits - 1n);
    for (const sizeBytes of suffix.includes('l') ? [8] : [4, 8]) {
      const bits = BigInt(8 * sizeBytes);
      const name = sizeBytes === 4 ? 'int' : 'long';
      if (!mustBeUnsigned && fits(bits, false))
        return { kind: 'base', name, encoding: DW_ATE.signed, sizeBytes };
      if (mayBeUnsigned && fits(bits, true)) {
        return { kind: 'base', name: `unsigned ${name}`, encoding: DW_ATE.unsigned, sizeBytes };
      }
    }
    return { kind: 'base', name: 'unsigned long', encoding: DW_ATE.unsigned, sizeBytes: 8 };
  }

  private converted(value: bigint, type: BaseType): bigint {
    const bits = 8 * type.sizeBytes;
    return type.encoding === DW_ATE.signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
  }

  private constant(type: Type, value: bigint, expression = this.text): TargetValue {
    const sizeBytes = sizeOf(type) ?? this.scope.addressSize;
    const bytes = littleToMemory(
      BigInt.asUintN(8 * sizeBytes, value),
      sizeBytes,
      this.scope.world.littleEndian,
    );
    return new TargetValue(type, { kind: 'bytes', bytes }, this.scope.world, expression);
  }

  private logical(value: boolean): TargetValue {
    return this.constant(this.int, value ? 1n : 0n);
  }

  private pointerTo(target: Type): PointerType {
    return { kind: 'pointer', sigil: '*', sizeBytes: this.scope.addressSize, target };
  }

  /** Gives errors of values the column of the operator that asked. */
  private async at<T>(column: number | undefined, compute: () => Promise<T>): Promise<T> {
    try {
      return await compute();
    } catch (error) {
      if (error instanceof QueryError && error.column === undefined && column !== undefined) {
        throw new QueryError(error.message, column);
      }
      throw error;
    }
  }
}

const DOUBLE: BaseType = { kind: 'base', name: 'double', encoding: DW_ATE.float, sizeBytes: 8 };

const REGISTER_TYPES: Readonly<Record<number, string>> = {
  1: 'unsigned char',
  2: 'unsigned short',
  4: 'unsigned int',
  8: 'unsigned long',
  16: 'unsigned __int128',
};

const FLOAT_OPERATORS: Readonly<Record<string, (a: number, b: number) => number>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
};

function pointerOf(value: TargetValue): PointerType | undefined {
  const bare = strip(value.type);
  return bare.kind === 'pointer' ? bare : undefined;
}

function isFloat(type: Type): boolean {
  return type.kind === 'base' && type.encoding === DW_ATE.float;
}

function isComparison(operator: string): boolean {
  return ['==', '!=', '<', '>', '<=', '>='].includes(operator);
}

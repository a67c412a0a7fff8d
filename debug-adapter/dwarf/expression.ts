/**
 * DWARF expressions and single location descriptions. DWARF 5 §2.5, §2.6.1. Evaluation asks its context for
 * registers and memory and waits for the answers: the target may be at the other end of a socket.
 */
import { fromBytes } from './byteOrder.ts';
import { binary, compare, unary } from './arithmetic.ts';
import { DW_ATE } from './constants.ts';
import { DwarfError } from './dwarfError.ts';
import { DW_OP, operatorName } from './operators.ts';
import { Reader } from './reader.ts';
import {
  type TypedValue,
  type ValueType,
  asInteger,
  convert,
  genericType,
  isFloat,
  typed,
} from './typedValue.ts';

/** Where a piece of an object is. */
export type Location =
  | { readonly kind: 'memory'; readonly address: bigint }
  | { readonly kind: 'register'; readonly register: number }
  /** DW_OP_stack_value: the object has no place, this is its value. */
  | { readonly kind: 'value'; readonly value: TypedValue }
  | { readonly kind: 'implicit'; readonly bytes: Uint8Array }
  /**
   * A pointer to an object that is not in memory: the entry that describes it, and the offset into it
   * (§2.6.1.1.4).
   */
  | { readonly kind: 'implicitPointer'; readonly dieOffset: number; readonly byteOffset: number }
  | { readonly kind: 'optimizedOut' };

export interface Piece {
  readonly location: Location;
  /** Undefined for a location that is the whole object. */
  readonly sizeBits: number | undefined;
  /** From the start of the location (DW_OP_bit_piece). */
  readonly offsetBits: number;
}

/**
 * What an expression may ask. An answer of undefined ends the evaluation with an error that names what was
 * missing.
 */
export interface ExpressionContext {
  readonly addressSize: number;
  readonly littleEndian: boolean;
  readonly is64: boolean;
  readonly version: number;
  /** Link-time address to run-time address. */
  relocate(address: bigint): bigint;
  /** By DWARF register number. */
  register(register: number): bigint | undefined;
  memory(address: bigint, lengthBytes: number): Promise<Uint8Array | undefined>;
  frameBase?(): Promise<bigint | undefined>;
  callFrameCfa?(): Promise<bigint | undefined>;
  tlsAddress?(offset: bigint): Promise<bigint | undefined>;
  objectAddress?(): bigint | undefined;
  /** .debug_addr by index, link-time. */
  indexedAddress?(index: number): bigint;
  /** A base type by its offset in the unit; 0 is the generic type. */
  baseType?(unitOffset: number): ValueType | undefined;
  /**
   * The location expression of another entry: DW_OP_call2, call4 (unit offsets) and call_ref (section
   * offset).
   */
  calledExpression?(offset: number, inSection: boolean): Uint8Array | undefined;
  /** What the caller passed for a parameter, by its entry's offset in the unit (DW_OP_GNU_parameter_ref). */
  parameterValue?(unitOffset: number): Promise<TypedValue | undefined>;
  /** The value of the variable at a section offset (DW_OP_GNU_variable_value). */
  variableValue?(dieOffset: number): Promise<TypedValue | undefined>;
  /** What a sub-expression was worth when the function was entered (§2.5.1.7). */
  entryValue?(expression: Uint8Array): Promise<TypedValue | undefined>;
}

/**
 * Nothing is broken: the program no longer has what the expression computes from. Debuggers say `optimized
 * out`.
 */
export class UnavailableError extends DwarfError {
  constructor(offset: number, message: string) {
    super('expression', offset, message);
  }
}

/** It computes from a register of a caller that nothing saved: debuggers say `not saved`. */
export class NotSavedError extends UnavailableError {
  constructor(offset: number, register: number) {
    super(offset, `register ${register} is not saved`);
  }
}

const MAX_STEPS = 10_000;
const MAX_STACK = 1000;
const MAX_CALLS = 16;
/** No base type is larger, and a broken size must not make a gigabyte-sized number. */
const MAX_TYPE_BYTES = 16;

/** A location: what DW_AT_location and location lists hold. Throws DwarfError. */
export async function evaluateLocation(
  expression: Uint8Array,
  context: ExpressionContext,
  initial: readonly bigint[] = [],
): Promise<readonly Piece[]> {
  const machine = new ExpressionMachine(context);
  for (const value of initial) machine.push(value);
  await machine.run(expression, 0);
  return machine.pieces();
}

/** A value: what DW_AT_data_member_location, bounds, and call frame rules hold. Throws DwarfError. */
export async function evaluateValue(
  expression: Uint8Array,
  context: ExpressionContext,
  initial: readonly bigint[] = [],
): Promise<TypedValue> {
  const machine = new ExpressionMachine(context);
  for (const value of initial) machine.push(value);
  await machine.run(expression, 0);
  return machine.top();
}

class ExpressionMachine {
  readonly #context: ExpressionContext;
  readonly #generic: ValueType;
  readonly #stack: TypedValue[] = [];
  readonly #done: Piece[] = [];
  /** Set by an operator that ends a simple location description. */
  #location: Location | undefined;
  #steps = 0;
  #reader: Reader = new Reader(new Uint8Array(0), true, 'expression', 0);

  constructor(context: ExpressionContext) {
    this.#context = context;
    this.#generic = genericType(context.addressSize);
  }

  async run(expression: Uint8Array, depth: number): Promise<void> {
    if (depth > MAX_CALLS) throw this.#fail('expression calls itself too deeply');
    const reader = new Reader(expression, this.#context.littleEndian, 'expression', 0);
    const caller = this.#reader;
    while (!reader.atEnd) {
      if (++this.#steps > MAX_STEPS) throw this.#fail('expression does not end');
      if (this.#stack.length > MAX_STACK) throw this.#fail('expression stack overflows');
      this.#reader = reader;
      await this.#step(reader.u8(), depth);
    }
    this.#reader = caller;
  }

  /** The description as pieces; one piece without size when it is not composite. */
  pieces(): Piece[] {
    if (this.#done.length > 0) return this.#done;
    return [{ location: this.#takeLocation(), sizeBits: undefined, offsetBits: 0 }];
  }

  top(): TypedValue {
    const value = this.#stack.at(-1);
    if (value === undefined) throw this.#fail('expression leaves no value');
    return value;
  }

  push(bits: bigint): void {
    this.#stack.push(typed(this.#generic, bits));
  }

  async #step(operator: number, depth: number): Promise<void> {
    const reader = this.#reader;
    if (operator >= DW_OP.lit0 && operator < DW_OP.lit0 + 32) return this.push(BigInt(operator - DW_OP.lit0));
    if (operator >= DW_OP.reg0 && operator < DW_OP.reg0 + 32) return this.#inRegister(operator - DW_OP.reg0);
    if (operator >= DW_OP.breg0 && operator < DW_OP.breg0 + 32) {
      return this.push(this.#register(operator - DW_OP.breg0) + reader.slebBig());
    }
    if (this.#constant(operator) || this.#stackOperation(operator) || this.#arithmetic(operator)) return;
    if (this.#describe(operator)) return;
    await this.#ask(operator, depth);
  }

  /** §2.5.1.1, §2.5.1.5: operators whose operand is all they need. */
  #constant(operator: number): boolean {
    const reader = this.#reader;
    const context = this.#context;
    switch (operator) {
      case DW_OP.addr:
        this.push(context.relocate(BigInt.asUintN(64, BigInt(reader.address(context.addressSize)))));
        return true;
      case DW_OP.const1u:
        this.push(BigInt(reader.u8()));
        return true;
      case DW_OP.const1s:
        this.push(BigInt(reader.s8()));
        return true;
      case DW_OP.const2u:
        this.push(BigInt(reader.u16()));
        return true;
      case DW_OP.const2s:
        this.push(BigInt(reader.s16()));
        return true;
      case DW_OP.const4u:
        this.push(BigInt(reader.u32()));
        return true;
      case DW_OP.const4s:
        this.push(BigInt(reader.s32()));
        return true;
      case DW_OP.const8u:
        this.push(reader.u64());
        return true;
      case DW_OP.const8s:
        this.push(reader.s64());
        return true;
      case DW_OP.constu:
        this.push(reader.ulebBig());
        return true;
      case DW_OP.consts:
        this.push(reader.slebBig());
        return true;
      case DW_OP.addrx:
      case DW_OP.GNU_addr_index: {
        const address = context.indexedAddress?.(reader.uleb());
        if (address === undefined) throw this.#fail('no .debug_addr to index');
        this.push(context.relocate(address));
        return true;
      }
      case DW_OP.constx:
      case DW_OP.GNU_const_index: {
        const value = context.indexedAddress?.(reader.uleb());
        if (value === undefined) throw this.#fail('no .debug_addr to index');
        this.push(value);
        return true;
      }
      case DW_OP.const_type:
      case DW_OP.GNU_const_type: {
        const type = this.#baseType(reader.uleb());
        this.#stack.push(typed(type, fromBytes(reader.block(reader.u8()), context.littleEndian)));
        return true;
      }
      case DW_OP.bregx: {
        const register = reader.uleb();
        this.push(this.#register(register) + reader.slebBig());
        return true;
      }
      case DW_OP.regval_type:
      case DW_OP.GNU_regval_type: {
        const register = reader.uleb();
        const type = this.#baseType(reader.uleb());
        this.#stack.push(typed(type, this.#register(register)));
        return true;
      }
      default:
        return false;
    }
  }

  /** §2.5.1.3 */
  #stackOperation(operator: number): boolean {
    const stack = this.#stack;
    const reader = this.#reader;
    switch (operator) {
      case DW_OP.dup:
        stack.push(this.top());
        return true;
      case DW_OP.drop:
        this.#pop();
        return true;
      case DW_OP.over:
        stack.push(this.#peek(1));
        return true;
      case DW_OP.pick:
        stack.push(this.#peek(reader.u8()));
        return true;
      case DW_OP.swap: {
        const [top, second] = [this.#pop(), this.#pop()];
        stack.push(top, second);
        return true;
      }
      case DW_OP.rot: {
        const [top, second, third] = [this.#pop(), this.#pop(), this.#pop()];
        stack.push(top, third, second);
        return true;
      }
      case DW_OP.nop:
        return true;
      case DW_OP.skip:
        this.#jump(reader.s16());
        return true;
      case DW_OP.bra: {
        const distance = reader.s16();
        if (this.#pop().bits !== 0n) this.#jump(distance);
        return true;
      }
      default:
        return false;
    }
  }

  #arithmetic(operator: number): boolean {
    const reader = this.#reader;
    const stack = this.#stack;
    switch (operator) {
      case DW_OP.plus_uconst: {
        const value = this.#pop();
        stack.push(typed(value.type, value.bits + reader.ulebBig()));
        return true;
      }
      case DW_OP.convert:
      case DW_OP.GNU_convert:
        stack.push(convert(this.#operand(), this.#computable(this.#baseType(reader.uleb()))));
        return true;
      case DW_OP.reinterpret:
      case DW_OP.GNU_reinterpret:
        stack.push(typed(this.#baseType(reader.uleb()), this.#pop().bits));
        return true;
      case DW_OP.abs:
      case DW_OP.neg:
      case DW_OP.not: {
        const result = unary(operator, this.#operand());
        if (result !== undefined) stack.push(result);
        return true;
      }
      case DW_OP.eq:
      case DW_OP.ge:
      case DW_OP.gt:
      case DW_OP.le:
      case DW_OP.lt:
      case DW_OP.ne: {
        const right = this.#operand();
        this.push(compare(operator, this.#operand(), right) === true ? 1n : 0n);
        return true;
      }
      case DW_OP.and:
      case DW_OP.div:
      case DW_OP.minus:
      case DW_OP.mod:
      case DW_OP.mul:
      case DW_OP.or:
      case DW_OP.plus:
      case DW_OP.shl:
      case DW_OP.shr:
      case DW_OP.shra:
      case DW_OP.xor: {
        const right = this.#operand();
        const result = binary(operator, this.#operand(), right);
        if (result === 'zero') throw this.#fail('expression divides by zero');
        if (result === undefined) throw this.#fail(`${operatorName(operator)} on a floating point value`);
        stack.push(result);
        return true;
      }
      default:
        return false;
    }
  }

  /** §2.6.1: operators that end or build a location description. */
  #describe(operator: number): boolean {
    const reader = this.#reader;
    switch (operator) {
      case DW_OP.regx:
        this.#inRegister(reader.uleb());
        return true;
      case DW_OP.stack_value:
        this.#location = { kind: 'value', value: this.#pop() };
        return true;
      case DW_OP.implicit_value:
        this.#location = { kind: 'implicit', bytes: reader.block(reader.uleb()) };
        return true;
      case DW_OP.implicit_pointer:
      case DW_OP.GNU_implicit_pointer: {
        const dieOffset = this.#dieReference();
        this.#location = { kind: 'implicitPointer', dieOffset, byteOffset: reader.sleb() };
        return true;
      }
      case DW_OP.piece:
        this.#done.push({ location: this.#takeLocation(), sizeBits: 8 * reader.uleb(), offsetBits: 0 });
        return true;
      case DW_OP.bit_piece: {
        const sizeBits = reader.uleb();
        this.#done.push({ location: this.#takeLocation(), sizeBits, offsetBits: reader.uleb() });
        return true;
      }
      case DW_OP.GNU_uninit:
        return true; // says that the value is not initialised yet; there is nothing to compute
      default:
        return false;
    }
  }

  /** Operators that need an answer from the target or from other entries. */
  async #ask(operator: number, depth: number): Promise<void> {
    const reader = this.#reader;
    const context = this.#context;
    switch (operator) {
      case DW_OP.deref:
        return this.#load(context.addressSize, this.#generic);
      case DW_OP.deref_size:
        return this.#load(reader.u8(), this.#generic);
      case DW_OP.deref_type:
      case DW_OP.GNU_deref_type: {
        const sizeBytes = reader.u8();
        return this.#load(sizeBytes, this.#baseType(reader.uleb()));
      }
      case DW_OP.xderef:
        return this.#loadFromSpace(context.addressSize, this.#generic);
      case DW_OP.xderef_size:
        return this.#loadFromSpace(reader.u8(), this.#generic);
      case DW_OP.xderef_type: {
        const sizeBytes = reader.u8();
        return this.#loadFromSpace(sizeBytes, this.#baseType(reader.uleb()));
      }
      case DW_OP.fbreg: {
        const offset = reader.slebBig();
        return this.push(this.#answer(await context.frameBase?.(), 'no frame base') + offset);
      }
      case DW_OP.call_frame_cfa:
        return this.push(this.#answer(await context.callFrameCfa?.(), 'no call frame information'));
      case DW_OP.form_tls_address:
      case DW_OP.GNU_push_tls_address:
        return this.push(
          this.#answer(await context.tlsAddress?.(this.#pop().bits), 'thread-local storage is not known'),
        );
      case DW_OP.push_object_address:
        return this.push(this.#answer(context.objectAddress?.(), 'no object'));
      case DW_OP.entry_value:
      case DW_OP.GNU_entry_value: {
        const value = await context.entryValue?.(reader.block(reader.uleb()));
        if (value === undefined)
          throw new UnavailableError(this.#reader.pos, 'the value at entry is not known');
        this.#stack.push(value);
        return;
      }
      case DW_OP.call2:
        return this.#call(reader.u16(), false, depth);
      case DW_OP.call4:
        return this.#call(reader.u32(), false, depth);
      case DW_OP.call_ref:
        return this.#call(reader.sectionOffset(context.is64), true, depth);
      case DW_OP.GNU_parameter_ref: {
        const value = await context.parameterValue?.(reader.u32());
        if (value === undefined)
          throw new UnavailableError(this.#reader.pos, 'what the caller passed is not known');
        this.#stack.push(value);
        return;
      }
      case DW_OP.GNU_variable_value: {
        const value = await context.variableValue?.(this.#dieReference());
        if (value === undefined) throw new UnavailableError(this.#reader.pos, 'the variable has no value');
        this.#stack.push(value);
        return;
      }
      default:
        throw this.#fail(`unsupported operator: ${operatorName(operator)}`);
    }
  }

  async #call(offset: number, inSection: boolean, depth: number): Promise<void> {
    const expression = this.#context.calledExpression?.(offset, inSection);
    // An entry without a location has no effect (§2.5.1.5).
    if (expression !== undefined) await this.run(expression, depth + 1);
  }

  async #load(sizeBytes: number, type: ValueType): Promise<void> {
    const address = this.#pop().bits;
    if (sizeBytes === 0 || sizeBytes > 16) throw this.#fail(`memory access of ${sizeBytes} bytes`);
    const bytes = await this.#context.memory(address, sizeBytes);
    if (bytes === undefined) throw this.#fail(`cannot read memory at 0x${address.toString(16)}`);
    this.#stack.push(typed(type, fromBytes(bytes, this.#context.littleEndian)));
  }

  /** The flat memory of our machines is address space 0. */
  async #loadFromSpace(sizeBytes: number, type: ValueType): Promise<void> {
    const address = this.#pop();
    const space = this.#pop().bits;
    if (space !== 0n) throw this.#fail(`no address space ${space}`);
    this.#stack.push(address);
    return this.#load(sizeBytes, type);
  }

  /** A reference into .debug_info; version 2 wrote it with the size of an address (GNU's operators). */
  #dieReference(): number {
    const reader = this.#reader;
    const context = this.#context;
    return context.version <= 2 ? reader.address(context.addressSize) : reader.sectionOffset(context.is64);
  }

  #inRegister(register: number): void {
    this.#location = { kind: 'register', register };
  }

  /**
   * What the operators so far describe; an empty description means an object that was optimised away
   * (§2.6.1.1.4).
   */
  #takeLocation(): Location {
    const described = this.#location;
    this.#location = undefined;
    if (described !== undefined) return described;
    const address = this.#stack.pop();
    return address === undefined ? { kind: 'optimizedOut' } : { kind: 'memory', address: asInteger(address) };
  }

  #register(register: number): bigint {
    const value = this.#context.register(register);
    if (value === undefined) throw new NotSavedError(this.#reader.pos, register);
    return value;
  }

  #baseType(unitOffset: number): ValueType {
    if (unitOffset === 0) return this.#generic;
    const type = this.#answer(this.#context.baseType?.(unitOffset), 'expression names no base type');
    if (!(type.sizeBytes > 0 && type.sizeBytes <= MAX_TYPE_BYTES))
      throw this.#fail(`base type of ${type.sizeBytes} bytes`);
    return type;
  }

  #jump(distance: number): void {
    const target = this.#reader.pos + distance;
    if (target < 0 || target > this.#reader.end) throw this.#fail('expression jumps out of itself');
    this.#reader.pos = target;
  }

  #peek(depth: number): TypedValue {
    const value = this.#stack.at(-1 - depth);
    if (value === undefined) throw this.#fail('expression stack underflows');
    return value;
  }

  #pop(): TypedValue {
    const value = this.#stack.pop();
    if (value === undefined) throw this.#fail('expression stack underflows');
    return value;
  }

  /** A value to compute with. */
  #operand(): TypedValue {
    const value = this.#pop();
    this.#computable(value.type);
    return value;
  }

  /** The 80- and 128-bit floating point numbers are carried, but JavaScript cannot compute with them. */
  #computable(type: ValueType): ValueType {
    if (type.encoding === DW_ATE.float && !isFloat(type))
      throw this.#fail(`floating point numbers of ${type.sizeBytes} bytes are not computed`);
    return type;
  }

  #answer<T>(value: T | undefined, missing: string): T {
    if (value === undefined) throw this.#fail(missing);
    return value;
  }

  #fail(message: string): DwarfError {
    return new DwarfError('expression', this.#reader.pos, message);
  }
}

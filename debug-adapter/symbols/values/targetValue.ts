/** Values of the target: a type and a place. Memory is read only when bits are asked for, and only those. */
import { fromBytes, toBytes } from '../../dwarf/byteOrder.ts';
import type { Die } from '../../dwarf/unit.ts';
import { QueryError } from '../base/queryError.ts';
import { type BitRange, bitBytes, bitShift } from '../types/bitFields.ts';
import { isLittleEndian } from '../types/byteOrder.ts';
import { flatMembers } from '../types/flatMembers.ts';
import { type Member, type StructType, type Type, sizeOf, strip, typeName } from '../types/type.ts';
import { castExpression, memberExpression, parenthesized } from './expressionText.ts';
import type { Assignment } from './value.ts';

/** Where a value is. `bytes` have been collected already: registers, constants, pieces. */
export type Place =
  | { readonly kind: 'memory'; readonly address: bigint }
  | {
      readonly kind: 'bytes';
      readonly bytes: Uint8Array;
      /** 1 for every byte that is known; undefined when all are. */
      readonly known?: Uint8Array;
      /** Why the others are not. */
      readonly lost?: string;
      /** The register the bytes are in, for assignments. */
      readonly register?: RegisterPart;
    }
  | {
      readonly kind: 'missing';
      readonly reason: string;
      /** Of a pointer that is nowhere: what it would lead to (DW_OP_implicit_pointer). */
      readonly target?: () => Promise<TargetValue | undefined>;
    };

/** Bytes of a register: that many from where the object in it begins, which is its low end. */
export interface RegisterPart {
  readonly name: string;
  readonly value: bigint;
  readonly offsetBytes: number;
  /** Of the object, as the machine would store it. */
  readonly wholeBytes: number;
}

/** What values need from their surroundings. */
export interface ValueWorld {
  readonly littleEndian: boolean;
  readonly addressSize: number;
  read(address: bigint, lengthBytes: number): Promise<Uint8Array | undefined>;
  /** `main+4` for an address that has a symbol. */
  symbolize(address: bigint): string | undefined;
  /** Whether the frame is Rust's: arrays and the like are written in its syntax. */
  readonly isRust?: boolean;
  /** The value of a variable entry at file scope or in a class. */
  entry?(die: Die, expression: string): Promise<TargetValue>;
}

/** Said only where the debug information says so: no place, or none at this address. */
export const OPTIMIZED_OUT = 'optimized out';
/** Of a caller: it was in a register that no function called from there saved. */
export const NOT_SAVED = 'not saved';

/** A value with the name it has in what it unfolds from. */
export interface NamedPart {
  readonly name: string;
  readonly value: TargetValue;
  /** A part that is not a plain member: a base class, a static member. */
  readonly role?: 'base' | 'static';
}

export class TargetValue {
  readonly type: Type;
  readonly place: Place;
  readonly bits: BitRange | undefined;
  readonly world: ValueWorld;
  readonly expression: string;

  constructor(type: Type, place: Place, world: ValueWorld, expression: string, bits?: BitRange) {
    this.type = type;
    this.place = place;
    this.world = world;
    this.expression = expression;
    this.bits = bits;
  }

  get typeName(): string {
    return typeName(this.type);
  }

  get bare(): Type {
    return strip(this.type);
  }

  get address(): bigint | undefined {
    return this.place.kind === 'memory' && this.bits === undefined ? this.place.address : undefined;
  }

  get sizeBytes(): number | undefined {
    return sizeOf(this.type);
  }

  /** Of the value's bytes in memory. */
  get littleEndian(): boolean {
    return isLittleEndian(this.type, this.world);
  }

  /** The write that gives this value other bits. */
  async assignBits(bits: bigint): Promise<Assignment> {
    if (this.bits !== undefined) return this.#assignBitField(bits, this.bits);
    const size = this.#requireSize();
    return this.#write(toBytes(bits, size, this.littleEndian), 0);
  }

  /** What a pointer or reference leads to. Throws QueryError for anything else. */
  async dereference(): Promise<TargetValue> {
    const { bare, place } = this;
    if (bare.kind !== 'pointer') throw new QueryError(`${this.typeName} is not a pointer`);
    const expression = `*${parenthesized(this.expression)}`;
    const known = place.kind === 'missing' ? await place.target?.() : undefined;
    if (known !== undefined) return known.as(bare.target, expression);
    const address = await this.unsigned();
    return new TargetValue(bare.target, { kind: 'memory', address }, this.world, expression);
  }

  /**
   * A member of this structure, known by its description. One in a virtual base is elsewhere: see partAt() of
   * classMembers.ts. `operator` is for its expression: what the structure was reached by.
   */
  part(member: Member, place = this.place, operator: '.' | '->' = '.'): TargetValue {
    const { name, isBase, bits, type } = member;
    const { expression: owner, world } = this;
    if (isBase) {
      const object = operator === '->' ? `*${parenthesized(owner)}` : owner;
      return new TargetValue(type, place, world, castExpression(typeName(type), object));
    }
    const struct = this.bare.kind === 'struct' ? this.bare : undefined;
    const written = name === undefined || struct === undefined ? name : fieldName(struct, member);
    const expression = memberExpression(owner, operator, written);
    if (bits !== undefined) return new TargetValue(type, place, world, expression, bits);
    return new TargetValue(type, placeAt(place, member.offsetBytes, sizeOf(type) ?? 0), world, expression);
  }

  /**
   * The member of this very structure with that name, also of the anonymous ones inside. See findMember() for
   * bases.
   */
  member(name: string): TargetValue | undefined {
    const { bare } = this;
    if (bare.kind !== 'struct') return undefined;
    const found = flatMembers(bare).find((member) => member.name === name);
    return found && this.part(found);
  }

  /** By the index the program uses for it. */
  element(index: number): TargetValue {
    const { bare } = this;
    if (bare.kind !== 'array') throw new QueryError(`${this.typeName} is not an array`);
    const size = sizeOf(bare.element);
    if (size === undefined) throw new QueryError(`elements of ${this.typeName} have no size`);
    const expression = `${parenthesized(this.expression)}[${index}]`;
    const at = index - (bare.lowerBound ?? 0);
    if (bare.strideBits !== undefined)
      return this.#packedElement(bare.element, at, bare.strideBits, expression);
    return new TargetValue(bare.element, placeAt(this.place, at * size, size), this.world, expression);
  }

  /** An element that need not begin at a byte: a number is then like a bit-field. */
  #packedElement(type: Type, at: number, strideBits: number, expression: string): TargetValue {
    const size = sizeOf(type) ?? 0;
    const offset = at * strideBits;
    const isScalar = !['struct', 'array'].includes(strip(type).kind);
    if (isScalar && (offset % 8 !== 0 || strideBits < 8 * size)) {
      const bits = { offset, size: Math.min(strideBits, 8 * size) };
      return new TargetValue(type, this.place, this.world, expression, bits);
    }
    const place: Place =
      offset % 8 === 0
        ? placeAt(this.place, offset / 8, size)
        : { kind: 'missing', reason: 'does not begin at a byte' };
    return new TargetValue(type, place, this.world, expression);
  }

  /** A value of the same type that many bytes further on. */
  offset(bytes: number): TargetValue {
    const place = placeAt(this.place, bytes, this.sizeBytes ?? 0);
    return new TargetValue(this.type, place, this.world, this.expression);
  }

  /** The bytes of the value. Throws QueryError when it has none or they cannot be read. */
  async bytes(sizeBytes = this.#requireSize()): Promise<Uint8Array> {
    const { place } = this;
    if (place.kind === 'missing') throw new QueryError(place.reason);
    if (place.kind === 'memory') {
      const bytes = await this.world.read(place.address, sizeBytes);
      if (bytes === undefined) throw new QueryError(`cannot read memory at 0x${place.address.toString(16)}`);
      return bytes;
    }
    const bytes = place.bytes.subarray(0, sizeBytes);
    if (bytes.length < sizeBytes)
      throw new QueryError(`only ${bytes.length} of its ${sizeBytes} bytes are described`);
    if (place.known?.subarray(0, sizeBytes).includes(0) === true)
      throw new QueryError(place.lost ?? OPTIMIZED_OUT);
    return bytes;
  }

  /** A scalar's bits as an unsigned integer. */
  async unsigned(): Promise<bigint> {
    if (this.bits !== undefined) return this.#bitField(this.bits);
    return fromBytes(await this.bytes(), this.littleEndian);
  }

  /** The same value in other surroundings: ones that remember what was read. */
  inWorld(world: ValueWorld): TargetValue {
    return new TargetValue(this.type, this.place, world, this.expression, this.bits);
  }

  /** The same place with another type and name. */
  as(type: Type, expression = this.expression): TargetValue {
    return new TargetValue(type, this.place, this.world, expression, this.bits);
  }

  #requireSize(): number {
    const size = this.sizeBytes;
    if (size === undefined) throw new QueryError(`${this.typeName} has no size`);
    return size;
  }

  async #bitField(bits: BitRange): Promise<bigint> {
    const whole = await this.#bitFieldBytes(bits);
    return BigInt.asUintN(bits.size, whole >> bitShift(bits, this.littleEndian));
  }

  /** The bytes around it are read and written back: its neighbours stay unchanged. */
  async #assignBitField(value: bigint, bits: BitRange): Promise<Assignment> {
    const { littleEndian } = this;
    const { first, count } = bitBytes(bits);
    const shift = bitShift(bits, littleEndian);
    const mask = ((1n << BigInt(bits.size)) - 1n) << shift;
    const merged = ((await this.#bitFieldBytes(bits)) & ~mask) | ((value << shift) & mask);
    return this.#write(toBytes(merged, count, littleEndian), first);
  }

  /** What holds a bit-field, as one integer. */
  async #bitFieldBytes(bits: BitRange): Promise<bigint> {
    const { first, count } = bitBytes(bits);
    const part = new TargetValue(this.type, placeAt(this.place, first, count), this.world, this.expression);
    return fromBytes(await part.bytes(count), this.littleEndian);
  }

  #write(bytes: Uint8Array, offsetBytes: number): Assignment {
    const { place } = this;
    if (place.kind === 'memory')
      return { kind: 'memory', address: place.address + BigInt(offsetBytes), bytes };
    if (place.kind === 'missing') throw new QueryError(`cannot be set: ${place.reason}`);
    if (place.register === undefined)
      throw new QueryError('a constant cannot be set', undefined, 'notAssignable');
    const { name, value, wholeBytes, offsetBytes: inRegister } = place.register;
    const at = inRegister + offsetBytes;
    const shift = BigInt(8 * (this.world.littleEndian ? at : wholeBytes - at - bytes.length));
    const mask = ((1n << BigInt(8 * bytes.length)) - 1n) << shift;
    const bits = fromBytes(bytes, this.world.littleEndian) << shift;
    return { kind: 'register', register: name, value: (value & ~mask) | bits };
  }
}

/** Rust writes `0` for the field that its debug information calls `__0`. */
export function fieldName(struct: StructType, { name }: Member): string {
  if (name === undefined) return '<anonymous>';
  return struct.isRust === true ? name.replace(/^__(?=\d+$)/, '') : name;
}

export function placeAt(place: Place, offsetBytes: number, sizeBytes: number): Place {
  if (place.kind === 'missing') return { kind: 'missing', reason: place.reason };
  if (place.kind === 'memory')
    return { kind: 'memory', address: BigInt.asUintN(64, place.address + BigInt(offsetBytes)) };
  const { register, known, lost } = place;
  return {
    kind: 'bytes',
    bytes: place.bytes.subarray(offsetBytes, offsetBytes + sizeBytes),
    ...(known && { known: known.subarray(offsetBytes, offsetBytes + sizeBytes) }),
    ...(lost !== undefined && { lost }),
    ...(register && { register: { ...register, offsetBytes: register.offsetBytes + offsetBytes } }),
  };
}

/** Values of the target: a type and a place. Memory is read when a value is displayed, and only as much as it shows. */
import { QueryError } from './queryError.ts';
import { formatScalar, formatValue } from './formatValue.ts';
import { memberExpression, parenthesized } from './expressionText.ts';
import { rustView, sequenceElement } from './rustValue.ts';
import { scalarBits } from './scalarText.ts';
import type { Assignment, NamedValue, Value } from './symbolImage.ts';
import { type Member, type StructType, type Type, sizeOf, strip, typeName } from './types.ts';

/** Where a value is. `bytes` have been collected already: registers, constants, pieces. */
export type Place =
  | { readonly kind: 'memory'; readonly address: bigint }
  | {
      readonly kind: 'bytes';
      readonly bytes: Uint8Array;
      /** 1 for every byte that is known; undefined when all are. */
      readonly known?: Uint8Array;
      /** The register the bytes are the low end of, for assignments. */
      readonly register?: { readonly name: string; readonly value: bigint; readonly offsetBytes: number };
    }
  | { readonly kind: 'missing'; readonly reason: string };

/** What values ask of the world around them. */
export interface ValueWorld {
  readonly littleEndian: boolean;
  readonly addressSize: number;
  read(address: bigint, lengthBytes: number): Promise<Uint8Array | undefined>;
  /** `main+4` for an address that has a symbol. */
  symbolize(address: bigint): string | undefined;
}

export interface BitRange {
  readonly offset: number;
  readonly size: number;
}

export const OPTIMIZED_OUT = 'optimized out';
/** Elements asked for at once when the caller sets no limit. */
const DEFAULT_COUNT = 1000;

export class TargetValue implements Value {
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

  get namedChildren(): number {
    if (this.place.kind === 'missing') return 0;
    const { bare } = this;
    // How many a Rust enum or vector has is in memory: that there are some is enough to offer them.
    if (bare.kind === 'struct')
      return Math.max(flatMembers(bare).length, bare.variants === undefined ? 0 : 1);
    if (bare.kind !== 'pointer') return 0;
    const target = strip(bare.target);
    if (target.kind === 'struct') return target.incomplete ? 0 : flatMembers(target).length;
    return target.kind === 'void' || target.kind === 'function' || target.kind === 'unknown' ? 0 : 1;
  }

  get indexedChildren(): number {
    const { bare } = this;
    return this.place.kind !== 'missing' && bare.kind === 'array' ? (bare.count ?? 0) : 0;
  }

  display(format?: string): Promise<string> {
    return formatValue(this, format);
  }

  async children(start = 0, count = DEFAULT_COUNT): Promise<readonly NamedValue[]> {
    const { bare } = this;
    if (this.place.kind === 'missing') return [];
    if (bare.kind === 'array') return this.elements(start, Math.min(count, (bare.count ?? 0) - start));
    if (bare.kind === 'struct')
      return (await this.rustChildren(start, count)) ?? this.members(bare).slice(start, start + count);
    if (bare.kind !== 'pointer') return [];
    const target = await this.dereference();
    const inner = strip(target.type);
    if (inner.kind === 'struct')
      return target.members(inner, '->', this.expression).slice(start, start + count);
    return this.namedChildren === 0 || start > 0
      ? []
      : [{ name: target.expression, expression: target.expression, value: target }];
  }

  async assign(text: string): Promise<Assignment> {
    return this.assignBits(scalarBits(this.type, text, this.bits?.size));
  }

  /** The write that gives this value other bits. */
  async assignBits(bits: bigint): Promise<Assignment> {
    if (this.bits !== undefined) return this.assignBitField(bits, this.bits);
    const size = this.requireSize();
    return this.write(littleToMemory(bits, size, this.world.littleEndian), 0);
  }

  /** What a pointer or reference leads to. Throws QueryError for anything else. */
  async dereference(): Promise<TargetValue> {
    const { bare } = this;
    if (bare.kind !== 'pointer') throw new QueryError(`${this.typeName} is no pointer`);
    const address = await this.unsigned();
    const expression = `*${parenthesized(this.expression)}`;
    return new TargetValue(bare.target, { kind: 'memory', address }, this.world, expression);
  }

  /** A member of this structure, known by its description. */
  part(member: Member): TargetValue {
    return this.memberValue(member, '.', this.expression);
  }

  /** The member with that name, also of anonymous and base structures inside. */
  member(name: string): TargetValue | undefined {
    const { bare } = this;
    if (bare.kind !== 'struct') return undefined;
    const found = flatMembers(bare).find((member) => member.name === name);
    return found && this.memberValue(found, '.', this.expression);
  }

  element(index: number): TargetValue {
    const { bare } = this;
    if (bare.kind !== 'array') throw new QueryError(`${this.typeName} is no array`);
    const size = sizeOf(bare.element);
    if (size === undefined) throw new QueryError(`elements of ${this.typeName} have no size`);
    const expression = `${parenthesized(this.expression)}[${index}]`;
    return new TargetValue(bare.element, placeAt(this.place, index * size, size), this.world, expression);
  }

  /** A value of the same type that many bytes further on. */
  offset(bytes: number): TargetValue {
    const place = placeAt(this.place, bytes, this.sizeBytes ?? 0);
    return new TargetValue(this.type, place, this.world, this.expression);
  }

  /** The bytes of the value. Throws QueryError when it has none or they cannot be read. */
  async bytes(sizeBytes = this.requireSize()): Promise<Uint8Array> {
    const { place } = this;
    if (place.kind === 'missing') throw new QueryError(place.reason);
    if (place.kind === 'memory') {
      const bytes = await this.world.read(place.address, sizeBytes);
      if (bytes === undefined) throw new QueryError(`cannot read memory at 0x${place.address.toString(16)}`);
      return bytes;
    }
    const bytes = place.bytes.subarray(0, sizeBytes);
    if (bytes.length < sizeBytes || place.known?.subarray(0, sizeBytes).includes(0) === true) {
      throw new QueryError(OPTIMIZED_OUT);
    }
    return bytes;
  }

  /** A scalar's bits as an unsigned integer. */
  async unsigned(): Promise<bigint> {
    if (this.bits !== undefined) return this.bitField(this.bits);
    return memoryToLittle(await this.bytes(), this.world.littleEndian);
  }

  /** A scalar as one line. */
  async scalar(format?: string): Promise<string> {
    return formatScalar(this, await this.unsigned(), format);
  }

  /** Children of a Rust value that is more than its fields: the fields of its case, the elements of a vector. */
  private async rustChildren(start: number, count: number): Promise<readonly NamedValue[] | undefined> {
    const view = await rustView(this);
    switch (view?.kind) {
      case 'variant':
        return view.value.children(start, count);
      case 'sequence':
        return Array.from({ length: Math.max(0, Math.min(count, view.count - start)) }, (_, at) => {
          const value = sequenceElement(this, view, start + at);
          return { name: `[${start + at}]`, expression: value.expression, value };
        });
      default:
        return undefined;
    }
  }

  private elements(start: number, count: number): NamedValue[] {
    return Array.from({ length: Math.max(count, 0) }, (_, at) => {
      const value = this.element(start + at);
      return { name: `[${start + at}]`, expression: value.expression, value };
    });
  }

  private members(struct: StructType, operator: '.' | '->' = '.', owner = this.expression): NamedValue[] {
    return flatMembers(struct).map((member) => {
      const value = this.memberValue(member, operator, owner);
      const name = member.isBase ? typeName(member.type) : (member.name ?? '<anonymous>');
      return { name, expression: value.expression, value };
    });
  }

  private memberValue(member: Member, operator: '.' | '->', owner: string): TargetValue {
    const expression = memberExpression(owner, operator, member.name);
    if (member.bits !== undefined)
      return new TargetValue(member.type, this.place, this.world, expression, member.bits);
    const size = sizeOf(member.type) ?? 0;
    return new TargetValue(
      member.type,
      placeAt(this.place, member.offsetBytes, size),
      this.world,
      expression,
    );
  }

  private requireSize(): number {
    const size = this.sizeBytes;
    if (size === undefined) throw new QueryError(`${this.typeName} has no size`);
    return size;
  }

  private async bitField({ offset, size }: BitRange): Promise<bigint> {
    const { first, count } = bitBytes(offset, size);
    const part = new TargetValue(this.type, placeAt(this.place, first, count), this.world, this.expression);
    const whole = memoryToLittle(await part.bytes(count), this.world.littleEndian);
    return BigInt.asUintN(size, whole >> BigInt(bitShift(offset, size, count, this.world.littleEndian)));
  }

  private async assignBitField(bits: bigint, { offset, size }: BitRange): Promise<Assignment> {
    const { first, count } = bitBytes(offset, size);
    const part = new TargetValue(this.type, placeAt(this.place, first, count), this.world, this.expression);
    const whole = memoryToLittle(await part.bytes(count), this.world.littleEndian);
    const shift = BigInt(bitShift(offset, size, count, this.world.littleEndian));
    const mask = ((1n << BigInt(size)) - 1n) << shift;
    const merged = (whole & ~mask) | ((bits << shift) & mask);
    return this.write(littleToMemory(merged, count, this.world.littleEndian), first);
  }

  private write(bytes: Uint8Array, offsetBytes: number): Assignment {
    const { place } = this;
    if (place.kind === 'memory')
      return { kind: 'memory', address: place.address + BigInt(offsetBytes), bytes };
    if (place.kind === 'missing') throw new QueryError(`cannot be set: ${place.reason}`);
    if (place.register === undefined) throw new QueryError('a constant cannot be set');
    const { name, value, offsetBytes: inRegister } = place.register;
    const shift = BigInt(8 * (inRegister + offsetBytes));
    const mask = ((1n << BigInt(8 * bytes.length)) - 1n) << shift;
    const bits = memoryToLittle(bytes, this.world.littleEndian) << shift;
    return { kind: 'register', register: name, value: (value & ~mask) | bits };
  }
}

/** Members with those of anonymous structures and unions in their place. */
export function flatMembers(struct: StructType, depth = 0): Member[] {
  return struct.members.flatMap((member) => {
    const inner = strip(member.type);
    if (member.name !== undefined || member.isBase || inner.kind !== 'struct' || depth > 16) return [member];
    return flatMembers(inner, depth + 1).map((nested) => ({
      name: nested.name,
      type: nested.type,
      isBase: nested.isBase,
      offsetBytes: nested.offsetBytes + member.offsetBytes,
      bits: nested.bits && { size: nested.bits.size, offset: nested.bits.offset + 8 * member.offsetBytes },
    }));
  });
}

export function placeAt(place: Place, offsetBytes: number, sizeBytes: number): Place {
  if (place.kind === 'missing') return place;
  if (place.kind === 'memory')
    return { kind: 'memory', address: BigInt.asUintN(64, place.address + BigInt(offsetBytes)) };
  const { register, known } = place;
  return {
    kind: 'bytes',
    bytes: place.bytes.subarray(offsetBytes, offsetBytes + sizeBytes),
    ...(known && { known: known.subarray(offsetBytes, offsetBytes + sizeBytes) }),
    ...(register && { register: { ...register, offsetBytes: register.offsetBytes + offsetBytes } }),
  };
}

/** The bytes that hold a bit-field. */
function bitBytes(offset: number, size: number): { first: number; count: number } {
  const first = Math.floor(offset / 8);
  return { first, count: Math.ceil((offset + size) / 8) - first };
}

/** How far to shift those bytes, read as one integer, to bring the field down. Big-endian machines count from the top. */
function bitShift(offset: number, size: number, countBytes: number, littleEndian: boolean): number {
  const inFirst = offset % 8;
  return littleEndian ? inFirst : 8 * countBytes - inFirst - size;
}

export function memoryToLittle(bytes: Uint8Array, littleEndian: boolean): bigint {
  let bits = 0n;
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[littleEndian ? bytes.length - 1 - index : index] as number;
    bits = (bits << 8n) | BigInt(byte);
  }
  return bits;
}

export function littleToMemory(bits: bigint, sizeBytes: number, littleEndian: boolean): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  for (let index = 0; index < sizeBytes; index++) {
    bytes[littleEndian ? index : sizeBytes - 1 - index] = Number((bits >> BigInt(8 * index)) & 0xffn);
  }
  return bytes;
}

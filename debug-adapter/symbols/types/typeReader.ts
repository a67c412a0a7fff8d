/**
 * Types from their entries. DWARF 5 chapter 5. Every part is read on demand: structures refer to each other
 * in circles.
 */
import { DW_AT, DW_ATE, DW_END, DW_LANG, DW_TAG, tagName } from '../../dwarf/constants.ts';
import type { Die } from '../../dwarf/unit.ts';
import { LruCache } from '../base/lruCache.ts';
import { childrenOf } from '../units/dieTree.ts';
import { dimensionsOf, strideOf } from './arrayBounds.ts';
import { bitRangeOf } from './bitFields.ts';
import { plainName } from './builtinTypes.ts';
import { hasNamespaces, splitPath } from './qualifiedNames.ts';
import { isSignedType as hasSign } from './scalarTypes.ts';
import {
  type ByteOrder,
  type EnumType,
  type FunctionType,
  type Member,
  type StaticMember,
  type StructType,
  type Type,
  type Variants,
  VOID,
  sizeOf,
  strip,
} from './type.ts';
import { possibleMembers, readVariantParts } from './variantParts.ts';

const MAX_TYPES = 50_000;
const MAX_NESTING = 64;
/** A structure with more members than this is broken debug information. */
const MAX_MEMBERS = 100_000;

export class TypeReader {
  readonly #types = new LruCache<string, Type>(MAX_TYPES);
  #depth = 0;
  /** Finds a definition of a structure that is only declared in its own unit. */
  readonly #complete: (die: Die) => Die | undefined;
  /** The name with its namespaces. */
  readonly #qualify: (die: Die) => string | undefined;

  constructor(complete: (die: Die) => Die | undefined, qualify: (die: Die) => string | undefined) {
    this.#complete = complete;
    this.#qualify = qualify;
  }

  /** The type an entry's DW_AT_type names; without one it is void (§5.2). */
  typeOf(die: Die): Type {
    if (!die.has(DW_AT.type)) return VOID;
    try {
      const target = die.ref(DW_AT.type);
      return target === undefined ? unknown('<type in another file>') : this.read(target);
    } catch (error) {
      die.unit.file.report(error);
      return unknown('<broken type>');
    }
  }

  read(die: Die): Type {
    const key = `${die.unit.file.id}${die.unit.header.section.name}${die.offset}`;
    let type = this.#types.get(key);
    if (type === undefined) {
      // Arrays read their element type at once: one that contains itself, or is nested a thousand deep, is
      // broken.
      if (this.#depth >= MAX_NESTING) return unknown('<endless type>');
      this.#depth++;
      type = this.#makeSafely(die);
      this.#depth--;
      this.#types.set(key, type, 1);
    }
    return type;
  }

  #makeSafely(die: Die): Type {
    try {
      return this.#make(die);
    } catch (error) {
      die.unit.file.report(error);
      return unknown('<broken type>');
    }
  }

  #make(die: Die): Type {
    // A stub for a type that is in a type unit of its own (§3.1.4).
    const whole = die.has(DW_AT.signature) ? die.ref(DW_AT.signature) : undefined;
    if (whole !== undefined && (whole.offset !== die.offset || whole.unit !== die.unit))
      return this.read(whole);
    switch (die.tag) {
      case DW_TAG.base_type:
        return {
          kind: 'base',
          name: plainName(die.string(DW_AT.name) ?? '<unnamed>'),
          encoding: die.number(DW_AT.encoding) ?? DW_ATE.unsigned,
          sizeBytes: sizeAttribute(die),
          ...byteOrder(die),
        };
      case DW_TAG.unspecified_type:
        return unknown(die.string(DW_AT.name) ?? 'void');
      case DW_TAG.pointer_type:
      case DW_TAG.reference_type:
      case DW_TAG.rvalue_reference_type:
        return this.#pointer(die);
      case DW_TAG.ptr_to_member_type:
        return this.#memberPointer(die);
      case DW_TAG.typedef:
      case DW_TAG.template_alias:
        return lazy(
          { kind: 'alias', name: this.#nameOf(die).name ?? '<unnamed>' },
          { target: () => this.typeOf(die) },
        );
      case DW_TAG.const_type:
        return this.#qualified(die, 'const');
      case DW_TAG.volatile_type:
        return this.#qualified(die, 'volatile');
      case DW_TAG.restrict_type:
        return this.#qualified(die, 'restrict');
      case DW_TAG.atomic_type:
        return this.#qualified(die, '_Atomic');
      case DW_TAG.structure_type:
      case DW_TAG.class_type:
      case DW_TAG.union_type:
      case DW_TAG.interface_type:
        return this.#struct(die);
      case DW_TAG.enumeration_type:
        return this.#enumeration(die);
      case DW_TAG.array_type:
        return this.#array(die);
      case DW_TAG.string_type:
        return characters(die);
      case DW_TAG.subroutine_type:
      case DW_TAG.subprogram:
        return this.#functionType(die);
      case DW_TAG.subrange_type:
        return die.has(DW_AT.type) ? this.#range(die) : unknown('<range>', sizeAttribute(die));
      default:
        return unknown(`<${tagName(die.tag)}>`, die.number(DW_AT.byte_size));
    }
  }

  /** C names its types with the keyword, C++ and Rust without it but with namespaces. */
  #nameOf(die: Die): { name: string | undefined; needsKeyword: boolean } {
    const needsKeyword = !hasNamespaces(die.unit.root.language);
    return { name: (needsKeyword ? undefined : this.#qualify(die)) ?? die.string(DW_AT.name), needsKeyword };
  }

  /** §5.11. Of a function it is two words: the function and what to add to `this` (Itanium C++ ABI §2.3). */
  #memberPointer(die: Die): Type {
    const { addressSize } = die.unit.header;
    const target = this.typeOf(die);
    const owner = die.ref(DW_AT.containing_type);
    return lazy(
      {
        kind: 'memberPointer',
        target,
        sizeBytes: die.number(DW_AT.byte_size) ?? (strip(target).kind === 'function' ? 2 : 1) * addressSize,
      },
      { owner: () => (owner === undefined ? unknown('?') : this.read(owner)) },
    );
  }

  #pointer(die: Die): Type {
    const sizeBytes = die.number(DW_AT.byte_size) ?? die.unit.header.addressSize;
    const sigil = die.tag === DW_TAG.pointer_type ? '*' : die.tag === DW_TAG.reference_type ? '&' : '&&';
    const name = die.unit.root.language === DW_LANG.Rust ? die.string(DW_AT.name) : undefined;
    return lazy(
      { kind: 'pointer', sigil, sizeBytes, ...(name !== undefined && { name }) },
      { target: () => this.typeOf(die) },
    );
  }

  #qualified(die: Die, qualifier: 'const' | 'volatile' | 'restrict' | '_Atomic'): Type {
    return lazy({ kind: 'qualified', qualifier }, { target: () => this.typeOf(die) });
  }

  #struct(die: Die): StructType {
    const keyword =
      die.tag === DW_TAG.union_type ? 'union' : die.tag === DW_TAG.class_type ? 'class' : 'struct';
    if (die.flag(DW_AT.declaration)) return this.#declaredStruct(die, keyword);
    const isRust = die.unit.root.language === DW_LANG.Rust;
    return lazy(
      {
        kind: 'struct',
        keyword,
        ...this.#nameOf(die),
        incomplete: false,
        isRust,
        die,
      },
      {
        sizeBytes: () => this.#structBytes(die),
        members: () => this.#members(die),
        statics: () => this.#statics(die),
        variants: () => (isRust ? this.#safely(die, () => this.#variants(die)) : undefined),
        variantParts: () => (isRust ? undefined : this.#safely(die, () => readVariantParts(die, this))),
        parameters: () => this.#typeParameters(die),
      },
    );
  }

  /**
   * `struct node;`: the definition may be in another unit, and may be found only once the index of names is
   * there.
   */
  #declaredStruct(die: Die, keyword: 'struct' | 'union' | 'class'): StructType {
    let found: Type | undefined;
    const definition = (): StructType | undefined => {
      const other = found === undefined ? this.#complete(die) : undefined;
      if (other !== undefined) found = this.read(other);
      return found?.kind === 'struct' ? found : undefined;
    };
    return {
      kind: 'struct',
      keyword,
      ...this.#nameOf(die),
      get sizeBytes() {
        return definition()?.sizeBytes ?? 0;
      },
      get incomplete() {
        return definition() === undefined;
      },
      get members() {
        return definition()?.members ?? [];
      },
      get variantParts() {
        return definition()?.variantParts;
      },
      get statics() {
        return definition()?.statics ?? [];
      },
      get die() {
        return definition()?.die;
      },
    };
  }

  /**
   * A record with cases of different sizes has an expression for its own size: the largest counts, which
   * every object has room for.
   */
  #structBytes(die: Die): number {
    const size = die.number(DW_AT.byte_size);
    if (size !== undefined || !die.has(DW_AT.byte_size)) return size ?? 0;
    const possible = [...possibleMembers(readVariantParts(die, this))].map(({ member }) => member);
    return [...this.#members(die), ...possible].reduce(
      (end, { offsetBytes, type }) => Math.max(end, offsetBytes + (sizeOf(type) ?? 0)),
      0,
    );
  }

  #members(die: Die): Member[] {
    return this.#eachChild(die, (child) => {
      const isBase = child.tag === DW_TAG.inheritance;
      // A static member has a place of its own, not one in the structure.
      const isStatic = child.flag(DW_AT.external) || child.flag(DW_AT.declaration);
      return (child.tag !== DW_TAG.member && !isBase) || isStatic ? undefined : this.member(child, isBase);
    });
  }

  /** What `read` finds in the children. Broken ones are left out and reported to the file. */
  #eachChild<T>(parent: Die, read: (child: Die) => T | undefined): T[] {
    const found: T[] = [];
    for (const child of childrenOf(parent)) {
      if (found.length >= MAX_MEMBERS) break;
      try {
        const one = read(child);
        if (one !== undefined) found.push(one);
      } catch (error) {
        child.unit.file.report(error);
      }
    }
    return found;
  }

  /** Variables of a class (version 5), members without a place in it (version 4). */
  #statics(die: Die): StaticMember[] {
    if (!hasNamespaces(die.unit.root.language)) return [];
    return this.#eachChild(die, (child) => {
      const isStatic = child.flag(DW_AT.external) || child.flag(DW_AT.declaration);
      const name = child.string(DW_AT.name);
      if (!isStatic || name === undefined || (child.tag !== DW_TAG.variable && child.tag !== DW_TAG.member))
        return undefined;
      return lazy({ name, die: child }, { type: () => this.typeOf(child) });
    });
  }

  /** §5.7.10: the part of a structure that depends on a discriminant. */
  #variants(die: Die): Variants | undefined {
    const part = [...childrenOf(die)].find(({ tag }) => tag === DW_TAG.variant_part);
    if (part === undefined) return undefined;
    const discriminant = part.ref(DW_AT.discr);
    const isSigned = discriminant !== undefined && isSignedType(this.typeOf(discriminant));
    const cases = this.#eachChild(part, (variant) => {
      if (variant.tag !== DW_TAG.variant) return undefined;
      const member = [...childrenOf(variant)].find(({ tag }) => tag === DW_TAG.member);
      const value = variant.bigint(DW_AT.discr_value, isSigned);
      return member && { value, member: this.member(member) };
    });
    return { discriminant: discriminant && this.member(discriminant), cases };
  }

  #typeParameters(die: Die): Map<string, Type> {
    const parameters = this.#eachChild(die, (child): [string, Type] | undefined =>
      child.tag === DW_TAG.template_type_parameter
        ? [child.string(DW_AT.name) ?? '', this.typeOf(child)]
        : undefined,
    );
    return new Map(parameters);
  }

  #safely<T>(die: Die, read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      die.unit.file.report(error);
      return undefined;
    }
  }

  /** Throws DwarfError. */
  member(child: Die, isBase = false): Member {
    const block = child.block(DW_AT.data_member_location);
    const location = child.number(DW_AT.data_member_location) ?? constantLocation(block);
    const parts = lazy(
      {
        name: child.string(DW_AT.name),
        offsetBytes: location ?? 0,
        isBase,
        virtualOffset: location === undefined ? block : undefined,
      },
      { type: () => this.typeOf(child) },
    );
    const bits = bitRangeOf(child, location ?? 0, () => sizeOf(this.typeOf(child)));
    return Object.defineProperty(parts, 'bits', { value: bits, enumerable: true }) as unknown as Member;
  }

  #range(die: Die): Type {
    const type = this.typeOf(die);
    const lowest = die.bigint(DW_AT.lower_bound, true) ?? -1n;
    return type.kind === 'base' && lowest >= 0n ? { ...type, isNatural: true } : type;
  }

  #enumeration(die: Die): EnumType {
    const underlying = strip(this.typeOf(die));
    const isSigned = underlying.kind === 'base' ? hasSign(underlying) : hasNegatives(die);
    const sizeBytes = die.number(DW_AT.byte_size) ?? sizeOf(underlying) ?? 4;
    // 128 of an int may be one byte (DW_FORM_data1): only the type's own width has a sign.
    const fitted = (value: bigint): bigint => (isSigned ? BigInt.asIntN(8 * sizeBytes, value) : value);
    return lazy(
      { kind: 'enum', ...this.#nameOf(die), sizeBytes, isSigned, ...byteOrder(die) },
      {
        scope: () => this.#safely(die, () => enumScope(die, this.#qualify(die))) ?? '',
        enumerators: () =>
          this.#eachChild(die, (child) =>
            child.tag === DW_TAG.enumerator
              ? {
                  name: child.string(DW_AT.name) ?? '?',
                  value: fitted(child.bigint(DW_AT.const_value) ?? 0n),
                }
              : undefined,
          ),
      },
    );
  }

  /** One ArrayType for each dimension, the first outermost (§5.5). */
  #array(die: Die): Type {
    const isVector = die.flag(DW_AT.GNU_vector);
    const isRust = die.unit.root.language === DW_LANG.Rust;
    const dimensions = dimensionsOf(die, (child) => this.typeOf(child));
    let type = this.typeOf(die);
    let strideBits = strideOf(die);
    for (const dimension of dimensions.reverse()) {
      type = {
        kind: 'array',
        element: type,
        ...dimension,
        ...(strideBits !== undefined && { strideBits }),
        ...(isVector && { isVector }),
        ...(isRust && { isRust }),
      };
      // Rows follow one another as closely as what is in them.
      strideBits = strideBits && strideBits * (dimension.count ?? 0);
    }
    return type;
  }

  #functionType(die: Die): FunctionType {
    return lazy(
      { kind: 'function', prototyped: die.flag(DW_AT.prototyped) || hasNamespaces(die.unit.root.language) },
      {
        isMethod: () => die.has(DW_AT.object_pointer) || hasArtificialThis(die),
        result: () => this.typeOf(die),
        parameters: () =>
          [...childrenOf(die)]
            .filter(({ tag }) => tag === DW_TAG.formal_parameter)
            .map((child) => this.typeOf(child)),
        variadic: () => [...childrenOf(die)].some(({ tag }) => tag === DW_TAG.unspecified_parameters),
      },
    );
  }
}

function unknown(name: string, sizeBytes?: number): Type {
  return { kind: 'unknown', name, sizeBytes };
}

/** Fortran's `character(len=5)` (§5.8). */
function characters(die: Die): Type {
  const element: Type = { kind: 'base', name: 'character', encoding: DW_ATE.signed_char, sizeBytes: 1 };
  const count = die.number(DW_AT.string_length) === undefined ? die.number(DW_AT.byte_size) : undefined;
  return { kind: 'array', element, count, lowerBound: 1 };
}

function sizeAttribute(die: Die): number {
  return die.number(DW_AT.byte_size) ?? Math.ceil((die.number(DW_AT.bit_size) ?? 0) / 8);
}

/** Where an entry says that it is not the machine's (§5.1.1). */
function byteOrder(die: Die): { byteOrder?: ByteOrder } {
  const endianity = die.number(DW_AT.endianity);
  if (endianity === DW_END.big) return { byteOrder: 'big' };
  return endianity === DW_END.little ? { byteOrder: 'little' } : {};
}

/**
 * `Colour::` for an enum class, the namespace or class around the others, which is where their names are.
 * Rust's cases have none.
 */
function enumScope(die: Die, qualified: string | undefined): string {
  const name = qualified ?? die.string(DW_AT.name);
  if (name === undefined || die.unit.root.language === DW_LANG.Rust) return '';
  if (die.flag(DW_AT.enum_class)) return `${name}::`;
  const parts = splitPath(name);
  return parts.length < 2 ? '' : `${parts.slice(0, -1).join('::')}::`;
}

function hasArtificialThis(die: Die): boolean {
  for (const child of childrenOf(die))
    if (child.tag === DW_TAG.formal_parameter) return child.flag(DW_AT.artificial);
  return false;
}

/** DWARF 2 gave member offsets as an expression: DW_OP_plus_uconst and the offset. */
function constantLocation(expression: Uint8Array | undefined): number | undefined {
  if (expression?.[0] !== 0x23) return undefined;
  let value = 0;
  let scale = 1;
  for (const byte of expression.subarray(1)) {
    value += (byte & 0x7f) * scale;
    scale *= 0x80;
    if (byte < 0x80) return value;
  }
  return undefined;
}

type Lazy<L> = { readonly [K in keyof L]: L[K] extends () => infer R ? R : never };

/** An object with properties that are computed once, when first read. */
function lazy<F extends object, L extends Record<string, () => unknown>>(fixed: F, later: L): F & Lazy<L> {
  for (const [name, compute] of Object.entries(later)) {
    Object.defineProperty(fixed, name, {
      configurable: true,
      enumerable: true,
      get() {
        const value = compute();
        Object.defineProperty(fixed, name, { value, enumerable: true });
        return value;
      },
    });
  }
  return fixed as F & Lazy<L>;
}

/** Of an enumeration whose type is not recorded: Ada gives its encoding, versions before 3 nothing. */
function hasNegatives(enumeration: Die): boolean {
  const encoding = enumeration.number(DW_AT.encoding);
  if (encoding !== undefined) return encoding === DW_ATE.signed;
  return [...childrenOf(enumeration)].some((child) => (child.bigint(DW_AT.const_value) ?? 0n) < 0n);
}

function isSignedType(type: Type): boolean {
  const bare = strip(type);
  return bare.kind === 'base' && bare.encoding === DW_ATE.signed;
}

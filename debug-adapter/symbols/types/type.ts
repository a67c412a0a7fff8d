/**
 * Types as the debugger sees them, and their names as C writes them. Built from DWARF by typeReader.ts;
 * members are read on demand.
 */
import type { Die } from '../../dwarf/unit.ts';

export interface BaseType {
  readonly kind: 'base';
  readonly name: string;
  /** DW_ATE */
  readonly encoding: number;
  readonly sizeBytes: number;
  /** Where it is not the machine's (DW_AT_endianity). */
  readonly byteOrder?: ByteOrder;
  /** A range from 0 up (Ada): in a field of a few bits, all of them are the number's. */
  readonly isNatural?: boolean;
}

export type ByteOrder = 'big' | 'little';

export interface PointerType {
  readonly kind: 'pointer';
  /** `*` a pointer, `&` and `&&` references. */
  readonly sigil: '*' | '&' | '&&';
  readonly sizeBytes: number;
  readonly target: Type;
  /** Rust names its references: `&mut [u8]`. */
  readonly name?: string;
}

/** C++'s `int Point::*` and `int (Point::*)()`: an offset, or a function with an adjustment of `this`. */
export interface MemberPointerType {
  readonly kind: 'memberPointer';
  readonly owner: Type;
  readonly target: Type;
  readonly sizeBytes: number;
}

export interface Member {
  /** Undefined for an anonymous structure or union, whose members count as the enclosing one's. */
  readonly name: string | undefined;
  readonly type: Type;
  readonly offsetBytes: number;
  /** From the start of the structure, least significant bit first as little-endian machines count. */
  readonly bits: { readonly offset: number; readonly size: number } | undefined;
  readonly isBase: boolean;
  /** Where a virtual base is: computed from the object's address, which is on the stack (§5.7.3). */
  readonly virtualOffset?: Uint8Array | undefined;
}

export interface StructType {
  readonly kind: 'struct';
  readonly keyword: 'struct' | 'union' | 'class';
  readonly name: string | undefined;
  /** Written with the keyword, as C does. */
  readonly needsKeyword: boolean;
  readonly sizeBytes: number;
  /** Declared but not defined here. */
  readonly incomplete: boolean;
  readonly members: readonly Member[];
  /** Rust's: shown in its syntax, its standard types as what they mean. */
  readonly isRust?: boolean;
  /** Rust's enum with data (§5.7.10): a discriminant says which of its cases it is. */
  readonly variants?: Variants | undefined;
  /** Of a record of Ada or Pascal: members that are present or not, as a discriminant says. */
  readonly variantParts?: readonly VariantPart[] | undefined;
  /** Type parameters by name: `T` of `Vec<T>`. */
  readonly parameters?: ReadonlyMap<string, Type>;
  /** Members the class has once, for all its objects. */
  readonly statics?: readonly StaticMember[];
  /** The entry that defines it, with what is in its scope: static members, functions, types. */
  readonly die?: Die | undefined;
}

export interface StaticMember {
  readonly name: string;
  readonly type: Type;
  /** Its declaration in the class. */
  readonly die: Die;
}

export interface Variants {
  /** Undefined for an enum of one case. */
  readonly discriminant: Member | undefined;
  /** A case without value is for all values that no other has. */
  readonly cases: readonly { readonly value: bigint | undefined; readonly member: Member }[];
}

export interface VariantPart {
  /** Undefined where nothing in the record says which case it is. */
  readonly discriminant: Member | undefined;
  readonly cases: readonly VariantCase[];
}

export interface VariantCase {
  /** Values of the discriminant, both ends included. Without any, the case is for all that no other has. */
  readonly ranges: readonly { readonly low: bigint; readonly high: bigint }[];
  readonly members: readonly Member[];
  /** Inside the case. */
  readonly parts: readonly VariantPart[];
}

export interface EnumType {
  readonly kind: 'enum';
  readonly name: string | undefined;
  readonly needsKeyword: boolean;
  readonly sizeBytes: number;
  readonly byteOrder?: ByteOrder;
  readonly isSigned: boolean;
  /**
   * What is written before an enumerator: `Colour::` of an enum class, else the namespace or class around the
   * enumeration.
   */
  readonly scope: string;
  readonly enumerators: readonly { readonly name: string; readonly value: bigint }[];
}

export interface ArrayType {
  readonly kind: 'array';
  readonly element: Type;
  /** Undefined for `[]`: a flexible array member or an extern declaration. */
  readonly count: number | undefined;
  /** The index of the first element, where it is not 0: Ada, Fortran and others count from anywhere. */
  readonly lowerBound?: number;
  /** From one element to the next, in bits, where that is not their size: Ada's packed arrays (§5.5). */
  readonly strideBits?: number;
  /** The entry whose bound a frame has to compute: the array has a variable length. */
  readonly bound?: Die | undefined;
  readonly isVector?: boolean;
  /** Named as in Rust: `[u8; 4]`. */
  readonly isRust?: boolean;
}

export interface FunctionType {
  readonly kind: 'function';
  readonly result: Type;
  readonly parameters: readonly Type[];
  readonly variadic: boolean;
  readonly prototyped: boolean;
  /** The parameters begin with a `this` that the programmer did not write. */
  readonly isMethod?: boolean;
}

export interface AliasType {
  readonly kind: 'alias';
  readonly name: string;
  readonly target: Type;
}

export interface QualifiedType {
  readonly kind: 'qualified';
  readonly qualifier: 'const' | 'volatile' | 'restrict' | '_Atomic';
  readonly target: Type;
}

export interface VoidType {
  readonly kind: 'void';
}

/** A type the debug information has but we cannot read; its name says why. */
export interface UnknownType {
  readonly kind: 'unknown';
  readonly name: string;
  readonly sizeBytes: number | undefined;
}

export type Type =
  | BaseType
  | PointerType
  | MemberPointerType
  | StructType
  | EnumType
  | ArrayType
  | FunctionType
  | AliasType
  | QualifiedType
  | VoidType
  | UnknownType;

export const VOID: VoidType = { kind: 'void' };

/** How many typedefs and qualifiers may be stacked before we call it a loop. */
const MAX_LAYERS = 64;

/** Without typedefs and qualifiers. */
export function strip(type: Type): Type {
  let at = type;
  for (let layer = 0; layer < MAX_LAYERS; layer++) {
    if (at.kind !== 'alias' && at.kind !== 'qualified') return at;
    at = at.target;
  }
  return { kind: 'unknown', name: '<endless typedef>', sizeBytes: undefined };
}

export function sizeOf(type: Type, depth = 0): number | undefined {
  const bare = strip(type);
  switch (bare.kind) {
    case 'array': {
      const element = depth > MAX_LAYERS ? undefined : sizeOf(bare.element, depth + 1);
      if (element === undefined || bare.count === undefined) return undefined;
      return bare.strideBits === undefined
        ? element * bare.count
        : Math.ceil((bare.strideBits * bare.count) / 8);
    }
    case 'base':
    case 'pointer':
    case 'memberPointer':
    case 'enum':
      return bare.sizeBytes;
    case 'struct':
      return bare.incomplete ? undefined : bare.sizeBytes;
    case 'unknown':
      return bare.sizeBytes;
    case 'void':
    case 'function':
    case 'alias':
    case 'qualified':
      return undefined;
  }
}

/**
 * `struct point [4]`, `int (*)(const struct node *)`: the type as a C declaration without a name, in gdb's
 * spacing.
 */
export function typeName(type: Type): string {
  return declaration(type, '');
}

/** `int (*compare)(const struct node *)`: a declaration of `name`. */
export function declaration(type: Type, name: string): string {
  return declare(type, name, { depth: 0, parts: { left: MAX_PARTS } });
}

/** Types without a name are written out wherever they occur: how deep, and how often in one name. */
interface Naming {
  readonly depth: number;
  readonly parts: { left: number };
}

const MAX_PARTS = 1000;

function inside({ depth, parts }: Naming): Naming {
  return { depth: depth + 1, parts };
}

/** `inner` is the declarator built so far, outside in. */
function declare(type: Type, inner: string, naming: Naming): string {
  if (naming.depth > MAX_LAYERS || naming.parts.left-- <= 0) return '...';
  switch (type.kind) {
    case 'pointer': {
      if (type.name !== undefined) {
        const name = withoutAllocator(type.name);
        return inner === '' ? name : `${name} ${inner}`;
      }
      const bare = type.target;
      const wrapped =
        bare.kind === 'array' || bare.kind === 'function' ? `(${type.sigil}${inner})` : type.sigil + inner;
      return declare(bare, wrapped, inside(naming));
    }
    case 'memberPointer': {
      const sigil = `${declare(type.owner, '', inside(naming))}::*${inner}`;
      const bare = type.target;
      return declare(
        bare,
        bare.kind === 'function' || bare.kind === 'array' ? `(${sigil})` : sigil,
        inside(naming),
      );
    }
    case 'array': {
      if (type.isRust === true) {
        const name = `[${declare(type.element, '', inside(naming))}; ${type.count ?? ''}]`;
        return inner === '' ? name : `${name} ${inner}`;
      }
      if (type.isVector === true) {
        const vector = `__attribute__ ((vector_size(${type.count ?? ''})))`;
        return declare(type.element, inner === '' ? vector : `${vector} ${inner}`, inside(naming));
      }
      return declare(type.element, `${inner}[${type.count ?? ''}]`, inside(naming));
    }
    case 'function':
      return declare(type.result, `${inner}(${parameterList(type, naming)})`, inside(naming));
    case 'qualified':
      return declareQualified(type, inner, naming);
    default:
      return inner === '' ? specifier(type) : `${specifier(type)} ${inner}`;
  }
}

/** Qualifiers of pointers come after the star, all others before the name. */
function declareQualified(type: QualifiedType, inner: string, naming: Naming): string {
  const { target, qualifier } = type;
  const bare = target.kind === 'qualified' ? strip(target) : target;
  if (bare.kind === 'pointer') {
    return declare(target, inner === '' ? qualifier : `${qualifier} ${inner}`, inside(naming));
  }
  // A qualified array is one of qualified elements (C11 §6.7.3p9): compilers say so twice.
  if (bare.kind === 'array' && isQualified(bare.element, qualifier))
    return declare(target, inner, inside(naming));
  // `const` first, in whatever order they were written.
  if (qualifier !== 'const' && target.kind === 'qualified' && target.qualifier === 'const') {
    return `const ${declare({ ...type, target: target.target }, inner, inside(naming))}`;
  }
  return `${qualifier} ${declare(target, inner, inside(naming))}`;
}

function isQualified(type: Type, qualifier: QualifiedType['qualifier']): boolean {
  let at = type;
  for (let layer = 0; layer < MAX_LAYERS; layer++) {
    if (at.kind !== 'qualified' && at.kind !== 'array') return false;
    if (at.kind === 'qualified' && at.qualifier === qualifier) return true;
    at = at.kind === 'array' ? at.element : at.target;
  }
  return false;
}

function parameterList(type: FunctionType, naming: Naming): string {
  const written = type.isMethod === true ? type.parameters.slice(1) : type.parameters;
  const parameters = written.map((parameter) => declare(parameter, '', inside(naming)));
  if (type.variadic) parameters.push('...');
  if (parameters.length > 0) return parameters.join(', ');
  return type.prototyped ? 'void' : '';
}

function specifier(type: Type): string {
  switch (type.kind) {
    case 'void':
      return 'void';
    case 'struct':
      return tagged(type.keyword, type);
    case 'enum':
      return tagged('enum', type);
    case 'base':
    case 'alias':
    case 'unknown':
      return type.name;
    case 'pointer':
    case 'memberPointer':
    case 'array':
    case 'function':
    case 'qualified':
      return typeName(type);
  }
}

function tagged(keyword: string, type: StructType | EnumType): string {
  if (type.name === undefined) return `${keyword} {...}`;
  return type.needsKeyword ? `${keyword} ${type.name}` : withoutAllocator(type.name);
}

/** Every growable type of Rust has the allocator as its last parameter; the usual one is never written. */
function withoutAllocator(name: string): string {
  return name.replaceAll(', alloc::alloc::Global>', '>');
}

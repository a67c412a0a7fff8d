/** Types as the debugger sees them, and their names as C writes them. Built from DWARF by typeReader.ts; members come when asked. */

export interface BaseType {
  readonly kind: 'base';
  readonly name: string;
  /** DW_ATE */
  readonly encoding: number;
  readonly sizeBytes: number;
}

export interface PointerType {
  readonly kind: 'pointer';
  /** `*` a pointer, `&` and `&&` references. */
  readonly sigil: '*' | '&' | '&&';
  readonly sizeBytes: number;
  readonly target: Type;
  /** Rust names its references: `&mut [u8]`. */
  readonly name?: string;
}

export interface Member {
  /** Undefined for an anonymous structure or union, whose members count as the enclosing one's. */
  readonly name: string | undefined;
  readonly type: Type;
  readonly offsetBytes: number;
  /** From the start of the structure, least significant bit first as little-endian machines count. */
  readonly bits: { readonly offset: number; readonly size: number } | undefined;
  readonly isBase: boolean;
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
  /** Rust's: shown in its syntax, with its standard types as what they mean. */
  readonly isRust?: boolean;
  /** An enum with data (§5.7.10): which of its cases it is, a discriminant says. */
  readonly variants?: Variants | undefined;
  /** Type parameters by name: `T` of `Vec<T>`. */
  readonly parameters?: ReadonlyMap<string, Type>;
}

export interface Variants {
  /** Undefined for an enum of one case. */
  readonly discriminant: Member | undefined;
  /** A case without value is for all values that no other has. */
  readonly cases: readonly { readonly value: bigint | undefined; readonly member: Member }[];
}

export interface EnumType {
  readonly kind: 'enum';
  readonly name: string | undefined;
  readonly needsKeyword: boolean;
  readonly sizeBytes: number;
  readonly isSigned: boolean;
  readonly enumerators: readonly { readonly name: string; readonly value: bigint }[];
}

export interface ArrayType {
  readonly kind: 'array';
  readonly element: Type;
  /** Undefined for `[]`: a flexible array member or an extern declaration. */
  readonly count: number | undefined;
}

export interface FunctionType {
  readonly kind: 'function';
  readonly result: Type;
  readonly parameters: readonly Type[];
  readonly variadic: boolean;
  readonly prototyped: boolean;
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

export function sizeOf(type: Type): number | undefined {
  const bare = strip(type);
  switch (bare.kind) {
    case 'array': {
      const element = sizeOf(bare.element);
      return element === undefined || bare.count === undefined ? undefined : element * bare.count;
    }
    case 'base':
    case 'pointer':
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

/** `struct point [4]`, `int (*)(const struct node *)`: the type as a C declaration without a name, in gdb's spacing. */
export function typeName(type: Type): string {
  return declaration(type, '');
}

/** `int (*compare)(const struct node *)`: a declaration of `name`. */
export function declaration(type: Type, name: string): string {
  return declare(type, name, 0);
}

/** `inner` is the declarator built so far, outside in. */
function declare(type: Type, inner: string, depth: number): string {
  if (depth > MAX_LAYERS) return '...';
  switch (type.kind) {
    case 'pointer': {
      if (type.name !== undefined) return inner === '' ? type.name : `${type.name} ${inner}`;
      const bare = type.target;
      const wrapped =
        bare.kind === 'array' || bare.kind === 'function' ? `(${type.sigil}${inner})` : type.sigil + inner;
      return declare(bare, wrapped, depth + 1);
    }
    case 'array': {
      return declare(type.element, `${inner}[${type.count ?? ''}]`, depth + 1);
    }
    case 'function':
      return declare(type.result, `${inner}(${parameterList(type, depth)})`, depth + 1);
    case 'qualified':
      return declareQualified(type, inner, depth);
    default:
      return inner === '' ? specifier(type) : `${specifier(type)} ${inner}`;
  }
}

/** Qualifiers of pointers stand after the star, all others before the name. */
function declareQualified(type: QualifiedType, inner: string, depth: number): string {
  const { target, qualifier } = type;
  const bare = target.kind === 'qualified' ? strip(target) : target;
  if (bare.kind === 'pointer') {
    return declare(target, inner === '' ? qualifier : `${qualifier} ${inner}`, depth + 1);
  }
  return `${qualifier} ${declare(target, inner, depth + 1)}`;
}

function parameterList(type: FunctionType, depth: number): string {
  const parameters = type.parameters.map((parameter) => declare(parameter, '', depth + 1));
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
    case 'array':
    case 'function':
    case 'qualified':
      return typeName(type);
  }
}

function tagged(keyword: string, type: StructType | EnumType): string {
  if (type.name === undefined) return `${keyword} {...}`;
  return type.needsKeyword ? `${keyword} ${type.name}` : type.name;
}

/** A structure or union written out with its members, as `ptype` does; `offsets` adds each member's place. */
export function describe(type: Type, offsets: boolean): string {
  const bare = strip(type);
  if (bare.kind === 'enum') {
    const list = bare.enumerators.map(({ name, value }) => `  ${name} = ${value},`);
    return [`enum ${bare.name ? `${bare.name} ` : ''}{`, ...list, '}'].join('\n');
  }
  if (bare.kind !== 'struct') return typeName(bare);
  if (bare.incomplete) return `${bare.keyword} ${bare.name ?? ''} {} /* incomplete */`;
  return structLines(bare, 0, 0, offsets).join('\n');
}

function structLines(type: StructType, indent: number, base: number, offsets: boolean): string[] {
  const pad = '  '.repeat(indent);
  const lines = [`${pad}${type.keyword} ${type.name === undefined ? '' : `${type.name} `}{`];
  for (const member of type.members) {
    const offset = base + member.offsetBytes;
    const place = offsets ? `/* ${String(offset).padStart(4)} */ ` : '';
    const bare = member.type;
    if (bare.kind === 'struct' && bare.name === undefined && indent < 16) {
      const inner = structLines(bare, indent + 1, offset, offsets);
      inner[inner.length - 1] += `${member.name === undefined ? '' : ` ${member.name}`};`;
      lines.push(...inner);
      continue;
    }
    const bits = member.bits === undefined ? '' : ` : ${member.bits.size}`;
    lines.push(`${pad}  ${place}${declaration(member.type, member.name ?? '')}${bits};`);
  }
  lines.push(`${pad}}${offsets && indent === 0 ? ` /* ${type.sizeBytes} bytes */` : ''}`);
  return lines;
}

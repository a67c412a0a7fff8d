/**
 * Types written out in full, as gdb's `ptype` does: members with their places, bases, the cases of a Rust
 * enum, enumerators.
 */
import {
  type EnumType,
  type Member,
  type StructType,
  type Type,
  type VariantCase,
  type VariantPart,
  declaration,
  strip,
  typeName,
} from './type.ts';
import { possibleMembers } from './variantParts.ts';

/** Structures without a name are written inside their owner, this deep at most. */
const MAX_NESTING = 16;
const MAX_LINES = 20_000;
/** Pointers, arrays and qualifiers around one; more are broken debug information. */
const MAX_LAYERS = 64;

/** `offsets` adds each member's place. */
export function describe(type: Type, offsets: boolean): string {
  const bare = strip(type);
  if (bare.kind === 'enum') {
    const list = bare.enumerators.map(({ name, value }) => `  ${name} = ${value},`);
    return [`enum ${bare.name ? `${bare.name} ` : ''}{`, ...list, '}'].join('\n');
  }
  if (bare.kind !== 'struct') return typeName(bare);
  if (bare.incomplete) return `${bare.keyword} ${bare.name ?? ''} {} /* incomplete */`;
  const lines: string[] = [];
  structLines(bare, { indent: 0, base: 0, offsets }, lines);
  return aligned(lines).join('\n');
}

/** Where bit-fields have places, those of whole members are padded to match. */
function aligned(lines: readonly string[]): readonly string[] {
  const whole = /^( *\/\* +\d+) \*\//;
  const hasBits = lines.some((line) => /^ *\/\* +\d+:/.test(line));
  return hasBits ? lines.map((line) => line.replace(whole, '$1    */')) : lines;
}

interface Layout {
  readonly indent: number;
  /** Bytes from the start of the outermost structure. */
  readonly base: number;
  readonly offsets: boolean;
}

function structLines(type: StructType, layout: Layout, lines: string[]): void {
  const { indent, base, offsets } = layout;
  const pad = '  '.repeat(indent);
  const keyword = type.variants === undefined ? type.keyword : 'enum';
  lines.push(`${pad}${keyword} ${type.name === undefined ? '' : `${type.name} `}${basesText(type)}{`);
  const { discriminant, cases = [] } = type.variants ?? {};
  if (discriminant !== undefined)
    memberLines({ ...discriminant, name: discriminant.name ?? '<discriminant>' }, layout, lines);
  for (const member of type.members) if (!member.isBase) memberLines(member, layout, lines);
  for (const { value, member } of cases) {
    memberLines(member, layout, lines);
    if (value !== undefined) lines.push(`${lines.pop() ?? ''} /* when ${value} */`);
  }
  for (const { member, part, ranges } of possibleMembers(type.variantParts ?? [])) {
    memberLines(member, layout, lines);
    lines.push(`${lines.pop() ?? ''} /* ${conditionText(part, ranges)} */`);
  }
  lines.push(`${pad}}${offsets && indent === 0 && base === 0 ? ` /* ${type.sizeBytes} bytes */` : ''}`);
}

/** `when k = 2, 5 .. 7`, with the enumerators' names; `otherwise` for all other values. */
function conditionText({ discriminant }: VariantPart, ranges: VariantCase['ranges']): string {
  if (ranges.length === 0) return 'otherwise';
  const bare = discriminant === undefined ? undefined : strip(discriminant.type);
  const valueText = (value: bigint): string =>
    (bare?.kind === 'enum' ? bare.enumerators.find((one) => one.value === value)?.name : undefined) ??
    value.toString();
  const list = ranges.map(({ low, high }) =>
    low === high ? valueText(low) : `${valueText(low)} .. ${valueText(high)}`,
  );
  return `when ${discriminant?.name ?? 'the discriminant'} = ${list.join(', ')}`;
}

function memberLines(member: Member, { indent, base, offsets }: Layout, lines: string[]): void {
  if (lines.length > MAX_LINES) return;
  const pad = '  '.repeat(indent);
  const offset = base + member.offsetBytes;
  const place = offsets ? `/* ${placeText(base, member)} */ ` : '';
  const bits = member.bits === undefined ? '' : ` : ${member.bits.size}`;
  const { before, type, after, isPointed } = unnamedBase(member.type, member.name ?? '') ?? {};
  if (type?.kind === 'struct' && indent < MAX_NESTING) {
    const first = lines.length;
    structLines(type, { indent: indent + 1, base: isPointed === true ? 0 : offset, offsets }, lines);
    lines[first] = `${pad}  ${before}${(lines[first] ?? '').trimStart()}`;
    lines.push(`${lines.pop() ?? ''}${after};`);
  } else if (type?.kind === 'enum') {
    lines.push(`${pad}  ${place}${before}enum {${enumeratorList(type)}}${after}${bits};`);
  } else {
    lines.push(`${pad}  ${place}${declaration(member.type, member.name ?? '')}${bits};`);
  }
}

/**
 * ` 12`, and for a bit-field the byte and the bit in it where it begins: ` 12: 3`, as gdb and pahole count.
 */
function placeText(base: number, { bits, offsetBytes }: Member): string {
  if (bits === undefined) return String(base + offsetBytes).padStart(4);
  const byte = Math.floor(bits.offset / 8);
  return `${String(base + byte).padStart(4)}:${String(bits.offset - 8 * byte).padStart(2)}`;
}

/** A placeholder for a type that is written out in a declaration. */
const MARK: Type = { kind: 'unknown', name: '\0', sizeBytes: undefined };

/**
 * The type without a name that a declaration is made of, which is written where it is used, and the text
 * around it.
 */
function unnamedBase(
  declared: Type,
  name: string,
): { before: string; type: StructType | EnumType; after: string; isPointed: boolean } | undefined {
  let found: StructType | EnumType | undefined;
  let isPointed = false;
  const marked = (type: Type, depth: number): Type => {
    if (depth > MAX_LAYERS) return type;
    switch (type.kind) {
      case 'pointer':
        isPointed = true;
        return { ...type, target: marked(type.target, depth + 1) };
      case 'qualified':
        return { ...type, target: marked(type.target, depth + 1) };
      case 'array':
        return { ...type, element: marked(type.element, depth + 1) };
      case 'struct':
      case 'enum':
        if (type.name !== undefined) return type;
        found = type;
        return MARK;
      default:
        return type;
    }
  };
  const [before = '', after = ''] = declaration(marked(declared, 0), name).split('\0');
  return found && { before, type: found, after, isPointed };
}

/** `A, B, C = 8`: values where they do not follow from the one before. */
function enumeratorList({ enumerators }: EnumType): string {
  let next = 0n;
  return enumerators
    .map(({ name, value }) => {
      const text = value === next ? name : `${name} = ${value}`;
      next = value + 1n;
      return text;
    })
    .join(', ');
}

/** `: outer::Shape, virtual Root ` */
function basesText(type: StructType): string {
  const bases = type.members
    .filter(({ isBase }) => isBase)
    .map((base) => `${base.virtualOffset === undefined ? '' : 'virtual '}${typeName(base.type)}`);
  return bases.length === 0 ? '' : `: ${bases.join(', ')} `;
}

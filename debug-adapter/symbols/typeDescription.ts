/** Types written out in full, as gdb's `ptype` does: members with their places, bases, the cases of a Rust enum, enumerators. */
import { type Member, type StructType, type Type, declaration, strip, typeName } from './types.ts';

/** Structures without a name are written inside their owner, this deep at most. */
const MAX_NESTING = 16;
const MAX_LINES = 20_000;

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
  return lines.join('\n');
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
  lines.push(`${pad}}${offsets && indent === 0 && base === 0 ? ` /* ${type.sizeBytes} bytes */` : ''}`);
}

function memberLines(member: Member, { indent, base, offsets }: Layout, lines: string[]): void {
  if (lines.length > MAX_LINES) return;
  const pad = '  '.repeat(indent);
  const offset = base + member.offsetBytes;
  const { type } = member;
  if (type.kind === 'struct' && type.name === undefined && indent < MAX_NESTING) {
    structLines(type, { indent: indent + 1, base: offset, offsets }, lines);
    lines.push(`${lines.pop() ?? ''}${member.name === undefined ? '' : ` ${member.name}`};`);
    return;
  }
  const place = offsets ? `/* ${String(offset).padStart(4)} */ ` : '';
  const bits = member.bits === undefined ? '' : ` : ${member.bits.size}`;
  lines.push(`${pad}  ${place}${declaration(type, member.name ?? '')}${bits};`);
}

/** `: outer::Shape, virtual Root ` */
function basesText(type: StructType): string {
  const bases = type.members
    .filter(({ isBase }) => isBase)
    .map((base) => `${base.virtualOffset === undefined ? '' : 'virtual '}${typeName(base.type)}`);
  return bases.length === 0 ? '' : `: ${bases.join(', ')} `;
}

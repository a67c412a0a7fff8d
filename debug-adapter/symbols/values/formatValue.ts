/**
 * Values as one line of text, in gdb's manner: `42`, `97 'a'`, `0x401136 <main>`, `{x = 1, y = 2}`, `"text"`;
 * Rust's in Rust's.
 */
import { QueryError } from '../base/queryError.ts';
import { isLittleEndian } from '../types/byteOrder.ts';
import { flatMembers } from '../types/flatMembers.ts';
import { type ArrayType, type StructType, type Type, sizeOf, strip, typeName } from '../types/type.ts';
import { activeMembers } from './activeMembers.ts';
import { partAt } from './classMembers.ts';
import { type Format, parseFormat } from './expressionText.ts';
import { formatScalar, pointerText } from './formatScalar.ts';
import { memberPointerText } from './memberPointerText.ts';
import { type RustView, type RustSequence, rustView, sequenceElement, shortName } from './rustValue.ts';
import {
  type CharacterKind,
  MAX_STRING,
  characterKind,
  endOfText,
  quotedBytes,
  readText,
  textOf,
} from './stringText.ts';
import type { TargetValue, ValueWorld } from './targetValue.ts';

/** A line longer than this says `...` instead of the rest. */
const MAX_LINE = 240;
const MAX_ELEMENTS = 200;
const MAX_DEPTH = 4;
/** As many equal elements as this in a row are written once, with their number. */
const MIN_REPEATS = 10;
/** This much of an object is read at once. */
const MAX_SNAPSHOT = 1 << 16;

/** Never throws because of the target: a value that cannot be read says so in brackets. */
export async function formatValue(value: TargetValue, format?: string): Promise<string> {
  const { letter, count } = parseFormat(format) ?? { letter: undefined, count: undefined };
  try {
    const whole = count === undefined ? await remembered(value) : await counted(value, count);
    return await text(whole, {
      letter,
      count,
      depth: 0,
      isRust: value.world.isRust === true,
      line: { left: MAX_LINE },
    });
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    return `<${error.message}>`;
  }
}

/** How a part is written. */
interface Style extends Format {
  readonly depth: number;
  readonly isRust: boolean;
  /** What is left of the line, shared by all parts. */
  readonly line: { left: number };
  /** Virtual bases of the object being written that are already in the text. */
  readonly virtualBases?: Set<string>;
}

/**
 * The value with its memory read at once: its members then cost nothing. Parts that cannot be read are still
 * asked for alone.
 */
async function remembered(value: TargetValue): Promise<TargetValue> {
  const { place, bare, world } = value;
  const size = value.sizeBytes ?? 0;
  if (place.kind !== 'memory' || (bare.kind !== 'struct' && bare.kind !== 'array') || size < 2) return value;
  const start = place.address;
  const bytes = await world.read(start, Math.min(size, MAX_SNAPSHOT));
  if (bytes === undefined) return value;
  const read: ValueWorld['read'] = (address, lengthBytes) => {
    const at = address - start;
    const isInside = at >= 0n && at + BigInt(lengthBytes) <= BigInt(bytes.length);
    if (!isInside) return world.read(address, lengthBytes);
    return Promise.resolve(bytes.subarray(Number(at), Number(at) + lengthBytes));
  };
  return value.inWorld({ ...world, read });
}

/**
 * `array,4`: as many of its elements; `object,4`: that many in a row from it. Pointers and Rust's sequences
 * count as themselves.
 */
async function counted(value: TargetValue, count: number): Promise<TargetValue> {
  const { bare } = value;
  if (bare.kind === 'array') {
    return bare.isVector === true
      ? value
      : value.as({ ...bare, count: Math.min(count, bare.count ?? count) });
  }
  const isObject =
    bare.kind === 'base' || bare.kind === 'enum' || (bare.kind === 'struct' && bare.isRust !== true);
  if (!isObject || value.address === undefined) return value;
  return remembered(value.as({ kind: 'array', element: value.type, count }));
}

async function text(value: TargetValue, style: Style): Promise<string> {
  const { bare, place } = value;
  if (place.kind === 'missing' && bare.kind !== 'void' && bare.kind !== 'function')
    throw new QueryError(place.reason);
  switch (bare.kind) {
    case 'struct':
      return structText(value, bare, style);
    case 'array':
      return arrayText(value, bare, style);
    case 'pointer':
      if (bare.sigil !== '*') return referenceText(value, style);
      return pointerValueText(value, bare.target, style);
    case 'memberPointer':
      return isPlain(style.letter) ? memberPointerText(value) : scalarText(value, style);
    case 'function':
      return value.address === undefined
        ? typeName(bare)
        : `{${typeName(bare)}} ${pointerText(value, value.address)}`;
    case 'void':
      return 'void';
    case 'unknown':
      return `<${bare.name}>`;
    case 'base':
    case 'enum':
    case 'alias':
    case 'qualified':
      return scalarText(value, style);
  }
}

/** What it refers to. Broken debug information refers to references without end. */
async function referenceText(value: TargetValue, style: Style): Promise<string> {
  if (style.depth > MAX_DEPTH + 1) return '...';
  return text(await value.dereference(), { ...style, depth: style.depth + 1 / 64 });
}

async function scalarText(value: TargetValue, { letter }: Style): Promise<string> {
  return formatScalar(value, await value.unsigned(), letter);
}

async function pointerValueText(value: TargetValue, target: Type, style: Style): Promise<string> {
  const { letter, count } = style;
  if (count !== undefined && style.depth === 0) return elementsText(await value.dereference(), count, style);
  if (isPlain(letter) && isBox(value.bare)) {
    if (style.depth >= MAX_DEPTH) return 'Box(...)';
    return `Box(${await elementText(await value.dereference(), { ...style, isRust: true })})`;
  }
  const address = await value.unsigned();
  if (!isPlain(letter) && letter !== 'a' && letter !== 's') return formatScalar(value, address, letter);
  const pointer = pointerText(value, address);
  const kind = textKind(target, style) ?? (letter === 's' && sizeOf(target) === 1 ? BYTES : undefined);
  if (address === 0n || kind === undefined || letter === 'a') return pointer;
  const read = await readText(value.world, address, kind.sizeBytes);
  if (read === undefined) return pointer;
  const shown = textOf(read, kind, isLittleEndian(target, value.world));
  return letter === 's' ? shown : `${pointer} ${shown}`;
}

const BYTES = { prefix: '', sizeBytes: 1 };

/** No format, or the one that only changes the radix of integers. */
function isPlain(letter: string | undefined): boolean {
  return letter === undefined || letter === 'h';
}

/** The owner of a box thinks of its contents, not of where they are. */
function isBox(type: Type): boolean {
  return type.kind === 'pointer' && type.name?.startsWith('alloc::boxed::Box<') === true;
}

/** An array of Rust's characters is not text: Rust has other types for that. */
function textKind(element: Type, { isRust }: Style): CharacterKind | undefined {
  const kind = characterKind(element);
  return isRust && kind?.sizeBytes !== 1 ? undefined : kind;
}

async function elementsText(first: TargetValue, count: number, style: Style): Promise<string> {
  const size = first.sizeBytes;
  if (size === undefined || size === 0) throw new QueryError(`${first.typeName} has no size`);
  const type: ArrayType = { kind: 'array', element: first.type, count };
  return text(await remembered(first.as(type)), { ...style, count: undefined });
}

async function structText(value: TargetValue, struct: StructType, style: Style): Promise<string> {
  if (struct.incomplete) return `<incomplete ${typeName(struct)}>`;
  const rust = await rustView(value);
  if (rust !== undefined) return rustText(value, struct, rust, { ...style, isRust: true });
  if (style.depth >= MAX_DEPTH) return '{...}';
  return braced(await memberTexts(value, struct, { ...style, virtualBases: new Set() }));
}

/** As the programmer nested them: bases and unnamed parts in braces of their own. */
async function memberTexts(value: TargetValue, struct: StructType, style: Style): Promise<string[]> {
  const parts: string[] = [];
  for (const member of [...struct.members, ...(await activeMembers(value, struct.variantParts ?? []))]) {
    if (style.line.left <= 0) return [...parts, '...'];
    // An object has each of its virtual bases once, however many classes lead to it.
    if (member.virtualOffset !== undefined && style.virtualBases?.has(typeName(member.type)) === true)
      continue;
    if (member.virtualOffset !== undefined) style.virtualBases?.add(typeName(member.type));
    const label = member.isBase
      ? `<${typeName(member.type)}> = `
      : member.name === undefined
        ? ''
        : `${member.name} = `;
    style.line.left -= label.length;
    const inner = strip(member.type);
    const isInPlace = (member.name === undefined || member.isBase) && inner.kind === 'struct';
    const part = await partAt(value, member);
    parts.push(label + (isInPlace ? await nestedText(part, inner, style) : await elementText(part, style)));
  }
  return parts;
}

/** Bases and anonymous parts do not count as a level of their own, within reason. */
async function nestedText(part: TargetValue, struct: StructType, style: Style): Promise<string> {
  if (part.place.kind === 'missing') return `<${part.place.reason}>`;
  const depth = style.depth + 0.25;
  style.line.left -= 4; // its braces: broken debug information may nest without end and without members
  return depth >= MAX_DEPTH ? '{...}' : braced(await memberTexts(part, struct, { ...style, depth }));
}

async function rustText(
  value: TargetValue,
  struct: StructType,
  view: RustView,
  style: Style,
): Promise<string> {
  const owner = shortName(struct.name ?? '');
  switch (view.kind) {
    case 'variant': {
      if (style.depth >= MAX_DEPTH) return `${view.name}(...)`;
      const inner = await text(view.value, { ...style, depth: style.depth + 0.5 });
      return inner.startsWith(view.name) ? inner : `${view.name} ${inner}`;
    }
    case 'text': {
      if (view.lengthBytes === 0) return '""';
      const bytes = await value.world.read(view.address, Math.min(view.lengthBytes, MAX_STRING));
      if (bytes === undefined) throw new QueryError(`cannot read memory at 0x${view.address.toString(16)}`);
      return quotedBytes(bytes) + (view.lengthBytes > MAX_STRING ? '...' : '');
    }
    case 'sequence':
      return sequenceText(value, view, style);
    case 'shared':
      return `${owner}(${await elementText(view.value, style)})`;
    case 'tuple':
      return `${owner.startsWith('(') ? '' : owner}(${await listText(view.fields, style)})`;
    case 'struct':
      return rustStructText(value, struct, owner, style);
  }
}

/** `Point {x: 1, y: 2}` */
async function rustStructText(
  value: TargetValue,
  struct: StructType,
  owner: string,
  style: Style,
): Promise<string> {
  const fields = flatMembers(struct);
  if (fields.length === 0 && owner !== '') return owner;
  if (style.depth >= MAX_DEPTH) return `${owner} {...}`;
  const parts: string[] = [];
  for (const field of fields) {
    if (style.line.left <= 0) {
      parts.push('...');
      break;
    }
    style.line.left -= (field.name ?? '').length + 2;
    parts.push(`${field.name ?? '_'}: ${await elementText(value.part(field), style)}`);
  }
  return `${owner === '' ? '' : `${owner} `}${braced(parts)}`;
}

async function sequenceText(value: TargetValue, view: RustSequence, style: Style): Promise<string> {
  const count = Math.min(view.count, style.count ?? view.count);
  const shown = Math.min(count, MAX_ELEMENTS);
  const values = Array.from({ length: shown }, (_, index) => sequenceElement(value, view, index));
  const list = await listText(values, { ...style, count: undefined });
  return `[${list}${shown < count && !list.endsWith('...') ? ', ...' : ''}]`;
}

async function listText(values: readonly TargetValue[], style: Style): Promise<string> {
  const parts: string[] = [];
  for (const one of values) {
    if (style.line.left <= 0) return [...parts, '...'].join(', ');
    parts.push(await elementText(one, style));
  }
  return parts.join(', ');
}

async function arrayText(value: TargetValue, array: ArrayType, style: Style): Promise<string> {
  const { element, count } = array;
  const littleEndian = isLittleEndian(element, value.world);
  const isString = isPlain(style.letter) || style.letter === 's';
  const kind = isString && array.isVector !== true ? textKind(element, style) : undefined;
  if (kind !== undefined && value.place.kind === 'memory' && count === undefined) {
    const read = await readText(value.world, value.place.address, kind.sizeBytes);
    if (read !== undefined) return textOf(read, kind, littleEndian);
  }
  if (count === undefined) return value.address === undefined ? '{}' : pointerText(value, value.address);
  if (kind !== undefined || (style.letter === 's' && sizeOf(element) === 1))
    return arrayString(value, count, kind ?? BYTES, littleEndian);
  if (style.depth >= MAX_DEPTH) return style.isRust ? '[...]' : '{...}';
  const parts = await elementTexts(value, array, count, style);
  return style.isRust ? `[${parts.join(', ')}]` : braced(parts);
}

/** Up to the zero that ends text; of data, without the zeros at its end. */
async function arrayString(
  value: TargetValue,
  count: number,
  kind: CharacterKind,
  littleEndian: boolean,
): Promise<string> {
  const bytes = await value.bytes(kind.sizeBytes * Math.min(count, MAX_STRING));
  const last = bytes.findLastIndex((byte) => byte !== 0);
  const end =
    kind.isData === true
      ? last < bytes.length - 1
        ? last + 1
        : undefined
      : endOfText(bytes, kind.sizeBytes);
  const read = { units: bytes.subarray(0, end), isCut: end === undefined && count > MAX_STRING };
  return textOf(read, kind, littleEndian);
}

/** Each element's text; of many equal ones in a row the first, with a count. */
async function elementTexts(
  value: TargetValue,
  { lowerBound = 0 }: ArrayType,
  count: number,
  style: Style,
): Promise<string[]> {
  const parts: string[] = [];
  let index = 0;
  while (index < count) {
    if (style.line.left <= 0 || parts.length >= MAX_ELEMENTS) return [...parts, '...'];
    const run = await runLength(value, index, count);
    const one = await elementText(value.element(lowerBound + index), style);
    const isRun = run >= MIN_REPEATS;
    parts.push(isRun ? `${one} <repeats ${run} times>` : one);
    index += isRun ? run : 1;
  }
  return parts;
}

/** How many elements from `start` have the same bytes. */
async function runLength(value: TargetValue, start: number, count: number): Promise<number> {
  const { bare } = value;
  const size = bare.kind === 'array' && bare.strideBits === undefined ? (sizeOf(bare.element) ?? 0) : 0;
  if (
    size === 0 ||
    count - start < MIN_REPEATS ||
    size * count > MAX_SNAPSHOT ||
    value.place.kind !== 'memory'
  )
    return 1;
  const first = value.place.address + BigInt(start * size);
  const bytes = await value.world.read(first, (count - start) * size);
  if (bytes === undefined) return 1;
  let run = 1;
  const isSame = (at: number): boolean => {
    for (let byte = 0; byte < size; byte++) if (bytes[byte] !== bytes[at + byte]) return false;
    return true;
  };
  while (start + run < count && isSame(run * size)) run++;
  return run;
}

async function elementText(value: TargetValue, style: Style): Promise<string> {
  let shown: string;
  try {
    shown = await text(value, { ...style, depth: style.depth + 1, count: undefined });
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    shown = `<${error.message}>`;
  }
  style.line.left -= shown.length + 2;
  return shown;
}

function braced(parts: readonly string[]): string {
  return `{${parts.join(', ')}}`;
}

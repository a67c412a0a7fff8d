/** Values as one line of text, in gdb's manner: `42`, `97 'a'`, `0x401136 <main>`, `{x = 1, y = 2}`, `"text"`. */
import { DW_ATE } from '../dwarf/constants.ts';
import { QueryError } from './queryError.ts';
import { type RustView, rustView, sequenceElement, shortName } from './rustValue.ts';
import {
  type BaseType,
  type EnumType,
  type StructType,
  type Type,
  sizeOf,
  strip,
  typeName,
} from './types.ts';
import { type TargetValue, flatMembers } from './value.ts';

/** A line longer than this says `...` instead of the rest. */
const MAX_LINE = 240;
const MAX_ELEMENTS = 200;
const MAX_DEPTH = 4;
const MAX_STRING_BYTES = 200;
const STRING_CHUNK = 64;

/** Never throws for what the target has: a value that cannot be read says so in brackets. */
export async function formatValue(value: TargetValue, format?: string): Promise<string> {
  try {
    return await format1(value, format, 0, { left: MAX_LINE });
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    return `<${error.message}>`;
  }
}

/** What is left of the line. */
interface Budget {
  left: number;
}

async function format1(
  value: TargetValue,
  format: string | undefined,
  depth: number,
  budget: Budget,
): Promise<string> {
  const { bare } = value;
  const count = format !== undefined && /^\d+$/.test(format) ? Number(format) : undefined;
  if (count !== undefined && bare.kind === 'pointer') return elementsFrom(value, count, depth, budget);
  if (format === 's') {
    const text = await stringOf(value);
    if (text !== undefined) return text;
  }
  switch (bare.kind) {
    case 'struct':
      return formatStruct(value, format, depth, budget);
    case 'array':
      return formatArray(value, format, depth, budget, count ?? bare.count ?? 0);
    case 'pointer':
      if (bare.sigil !== '*') return format1(await value.dereference(), format, depth, budget);
      return formatPointer(value, bare.target, format);
    case 'function':
      return value.address === undefined
        ? typeName(bare)
        : `{${typeName(bare)}} ${pointerText(value, value.address)}`;
    case 'void':
      return 'void';
    case 'unknown':
      return `<${bare.name}>`;
    case 'memberPointer':
    case 'base':
    case 'enum':
    case 'alias':
    case 'qualified':
      return value.scalar(format);
  }
}

/** A scalar from its bits. */
export function formatScalar(value: TargetValue, bits: bigint, format?: string): string {
  const { bare } = value;
  const sizeBits = value.bits?.size ?? 8 * (sizeOf(bare) ?? 0);
  const radix = formatBits(bits, sizeBits, format);
  if (radix !== undefined) return radix;
  if (bare.kind === 'enum') return enumText(bare, bare.isSigned ? BigInt.asIntN(sizeBits, bits) : bits);
  if (bare.kind === 'base') return baseText(bare, bits, sizeBits);
  return `0x${bits.toString(16)}`;
}

function formatBits(bits: bigint, sizeBits: number, format: string | undefined): string | undefined {
  switch (format) {
    case 'x':
      return `0x${bits.toString(16)}`;
    case 'o':
      return bits === 0n ? '0' : `0${bits.toString(8)}`;
    case 'b':
      return `0b${bits.toString(2)}`;
    case 'd':
      return BigInt.asIntN(sizeBits, bits).toString();
    case 'u':
      return bits.toString();
    case 'c':
      return characterText(BigInt.asIntN(8, bits), bits & 0xffn);
    default:
      return undefined;
  }
}

function baseText(type: BaseType, bits: bigint, sizeBits: number): string {
  switch (type.encoding) {
    case DW_ATE.boolean:
      return bits === 0n ? 'false' : bits === 1n ? 'true' : bits.toString();
    case DW_ATE.float:
      return floatText(bits, type.sizeBytes);
    case DW_ATE.signed_char:
      return characterText(BigInt.asIntN(sizeBits, bits), bits);
    case DW_ATE.unsigned_char:
      return characterText(bits, bits);
    case DW_ATE.UTF:
      return characterText(bits, bits);
    case DW_ATE.signed:
      return BigInt.asIntN(sizeBits, bits).toString();
    default:
      return bits.toString();
  }
}

const NAMED_ESCAPES = new Map([
  [7, '\\a'],
  [8, '\\b'],
  [9, '\\t'],
  [10, '\\n'],
  [11, '\\v'],
  [12, '\\f'],
  [13, '\\r'],
  [27, '\\033'],
  [92, '\\\\'],
]);

function characterText(number: bigint, code: bigint): string {
  const letter = Number(code);
  const quoted = letter === 39 ? "\\'" : escaped(letter);
  return `${number} '${quoted}'`;
}

function escaped(code: number): string {
  const named = NAMED_ESCAPES.get(code);
  if (named !== undefined) return named;
  if (code >= 0x20 && code < 0x7f) return String.fromCharCode(code);
  if (code > 0xff && code <= 0x10ffff) return String.fromCodePoint(code);
  return `\\${code.toString(8).padStart(3, '0')}`;
}

const scratch = new DataView(new ArrayBuffer(8));

function floatText(bits: bigint, sizeBytes: number): string {
  if (sizeBytes === 4) {
    scratch.setUint32(0, Number(bits));
    return numberText(Number(scratch.getFloat32(0).toPrecision(9)));
  }
  if (sizeBytes === 8) {
    scratch.setBigUint64(0, bits);
    return numberText(scratch.getFloat64(0));
  }
  return numberText(extendedFloat(bits));
}

/** The x87 format, padded to 12 or 16 bytes: 64 bits of mantissa, 15 of exponent. Rounded to what a number holds. */
function extendedFloat(bits: bigint): number {
  const mantissa = bits & 0xffff_ffff_ffff_ffffn;
  const exponent = Number((bits >> 64n) & 0x7fffn);
  const sign = (bits >> 79n) & 1n ? -1 : 1;
  if (exponent === 0x7fff) return mantissa << 1n === 0n ? sign * Infinity : NaN;
  return sign * Number(mantissa) * 2 ** (exponent - 16383 - 63);
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value < 0 ? '-inf' : 'inf';
  return Object.is(value, -0) ? '-0' : String(value);
}

/** The enumerator, or those whose bits add up to the value (as gdb shows flags), or the number. */
function enumText(type: EnumType, value: bigint): string {
  const exact = type.enumerators.find((enumerator) => enumerator.value === value);
  if (exact !== undefined) return exact.name;
  const isFlags = type.enumerators.every((one) => one.value >= 0n && (one.value & (one.value - 1n)) === 0n);
  if (!isFlags || value <= 0n) return value.toString();
  const names: string[] = [];
  let rest = value;
  for (const { name, value: flag } of type.enumerators) {
    if (flag === 0n || (rest & flag) === 0n) continue;
    names.push(name);
    rest &= ~flag;
  }
  if (names.length === 0) return value.toString();
  if (rest !== 0n) names.push(`unknown: 0x${rest.toString(16)}`);
  return `(${names.join(' | ')})`;
}

async function formatPointer(value: TargetValue, target: Type, format: string | undefined): Promise<string> {
  const address = await value.unsigned();
  if (format !== undefined && format !== 'a' && format !== 's') return formatScalar(value, address, format);
  const text = pointerText(value, address);
  if (address === 0n || !isCharacter(strip(target))) return text;
  const string = await readString(value, address, MAX_STRING_BYTES);
  return string === undefined ? text : `${text} ${string}`;
}

function pointerText(value: TargetValue, address: bigint): string {
  const symbol = address === 0n ? undefined : value.world.symbolize(address);
  return `0x${address.toString(16)}${symbol === undefined ? '' : ` <${symbol}>`}`;
}

async function stringOf(value: TargetValue): Promise<string | undefined> {
  const { bare } = value;
  if (bare.kind === 'pointer') return readString(value, await value.unsigned(), MAX_STRING_BYTES);
  if (bare.kind === 'array' && sizeOf(bare.element) === 1) return arrayString(value, bare.count ?? 0);
  return undefined;
}

/** Reads in small steps so that a string at the end of mapped memory is still shown. */
async function readString(
  value: TargetValue,
  address: bigint,
  maxBytes: number,
): Promise<string | undefined> {
  const codes: number[] = [];
  while (codes.length < maxBytes) {
    const at = address + BigInt(codes.length);
    const chunk = await value.world.read(at, STRING_CHUNK - Number(at % BigInt(STRING_CHUNK)));
    if (chunk === undefined) return codes.length === 0 ? undefined : `${quoted(codes)}...`;
    const end = chunk.indexOf(0);
    codes.push(...(end < 0 ? chunk : chunk.subarray(0, end)));
    if (end >= 0) return quoted(codes.slice(0, maxBytes)) + (codes.length > maxBytes ? '...' : '');
  }
  return `${quoted(codes.slice(0, maxBytes))}...`;
}

async function arrayString(value: TargetValue, count: number): Promise<string> {
  const bytes = await value.bytes(Math.min(count, MAX_STRING_BYTES));
  const end = bytes.indexOf(0);
  return (
    quoted([...(end < 0 ? bytes : bytes.subarray(0, end))]) +
    (end < 0 && count > MAX_STRING_BYTES ? '...' : '')
  );
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** UTF-8 as its letters when it is valid, else with octal escapes. */
function quoted(bytes: readonly number[]): string {
  let codes: Iterable<number> = bytes;
  try {
    codes = Array.from(utf8.decode(Uint8Array.from(bytes)), (letter) => letter.codePointAt(0) ?? 0);
  } catch {
    // not UTF-8: byte by byte
  }
  return `"${Array.from(codes, (code) => (code === 34 ? '\\"' : escaped(code))).join('')}"`;
}

async function formatStruct(
  value: TargetValue,
  format: string | undefined,
  depth: number,
  budget: Budget,
): Promise<string> {
  const { bare } = value;
  if (bare.kind !== 'struct') return '';
  if (bare.incomplete) return `<incomplete ${typeName(bare)}>`;
  const rust = await rustView(value);
  if (rust !== undefined) {
    const text = await formatRust(value, rust, format, depth, budget);
    if (text !== undefined) return text;
  }
  if (depth >= MAX_DEPTH) return '{...}';
  const parts: string[] = [];
  for (const { name, value: member } of await value.children(0, flatMembers(bare).length)) {
    if (budget.left <= 0) {
      parts.push('...');
      break;
    }
    const text = await element(member as TargetValue, format, depth, budget);
    parts.push(`${name} = ${text}`);
    budget.left -= name.length + 4;
  }
  return `{${parts.join(', ')}}`;
}

/** Undefined for what has no form of its own. */
async function formatRust(
  value: TargetValue,
  view: RustView,
  format: string | undefined,
  depth: number,
  budget: Budget,
): Promise<string | undefined> {
  const list = async (values: readonly TargetValue[]): Promise<string> => {
    const parts: string[] = [];
    for (const one of values) {
      if (budget.left <= 0) return [...parts, '...'].join(', ');
      parts.push(await element(one, format, depth, budget));
    }
    return parts.join(', ');
  };
  const owner = value.bare.kind === 'struct' ? shortName(value.bare.name ?? '') : '';
  switch (view.kind) {
    case 'variant': {
      const text = depth >= MAX_DEPTH ? '{...}' : await format1(view.value, format, depth + 1, budget);
      if (text === '{}') return view.name;
      return text.startsWith(view.name) ? text : `${view.name}${text.startsWith('{') ? ' ' : ''}${text}`;
    }
    case 'text': {
      const bytes = await value.world.read(view.address, Math.min(view.lengthBytes, MAX_STRING_BYTES));
      if (view.lengthBytes === 0) return '""';
      if (bytes === undefined) throw new QueryError(`cannot read memory at 0x${view.address.toString(16)}`);
      return quoted([...bytes]) + (view.lengthBytes > MAX_STRING_BYTES ? '...' : '');
    }
    case 'sequence': {
      const shown = Math.min(view.count, MAX_ELEMENTS);
      const values = Array.from({ length: shown }, (_, index) => sequenceElement(value, view, index));
      return `[${await list(values)}${shown < view.count ? ', ...' : ''}]`;
    }
    case 'tuple':
      return `${/^\(/.test(owner) || owner === '' ? '' : owner}(${await list(view.fields)})`;
    case 'struct':
      return owner !== '' && flatMembers(value.bare as StructType).length === 0 ? owner : undefined;
  }
}

async function formatArray(
  value: TargetValue,
  format: string | undefined,
  depth: number,
  budget: Budget,
  count: number,
): Promise<string> {
  const { bare } = value;
  if (bare.kind !== 'array') return '';
  if (format === undefined && isCharacter(strip(bare.element))) return arrayString(value, count);
  if (depth >= MAX_DEPTH) return '{...}';
  const parts: string[] = [];
  for (let index = 0; index < count; index++) {
    if (budget.left <= 0 || index >= MAX_ELEMENTS) {
      parts.push('...');
      break;
    }
    parts.push(
      await element(value.element(index), /^\d+$/.test(format ?? '') ? undefined : format, depth, budget),
    );
  }
  return `{${parts.join(', ')}}`;
}

/** `p,4`: what a pointer leads to, taken as an array of that many. */
async function elementsFrom(
  value: TargetValue,
  count: number,
  depth: number,
  budget: Budget,
): Promise<string> {
  const first = await value.dereference();
  const size = first.sizeBytes;
  if (size === undefined || size === 0) throw new QueryError(`${first.typeName} has no size`);
  const parts: string[] = [];
  for (let index = 0; index < Math.min(count, MAX_ELEMENTS) && budget.left > 0; index++) {
    parts.push(await element(first.offset(index * size), undefined, depth, budget));
  }
  return `{${parts.join(', ')}${parts.length < count ? ', ...' : ''}}`;
}

async function element(
  value: TargetValue,
  format: string | undefined,
  depth: number,
  budget: Budget,
): Promise<string> {
  let text: string;
  try {
    text = await format1(value, format, depth + 1, budget);
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    text = `<${error.message}>`;
  }
  budget.left -= text.length + 2;
  return text;
}

function isCharacter(type: Type): boolean {
  return (
    type.kind === 'base' &&
    type.sizeBytes === 1 &&
    (type.encoding === DW_ATE.signed_char || type.encoding === DW_ATE.unsigned_char)
  );
}

/**
 * Characters and strings as text: C's escapes, prefixes of wide ones, and strings read from memory step by
 * step.
 */
import { DW_ATE } from '../../dwarf/constants.ts';
import type { Type } from '../types/type.ts';
import type { ValueWorld } from './targetValue.ts';

export const MAX_STRING = 200;
const CHUNK_BYTES = 64;

/** What a type holds when it is a character type. */
export interface CharacterKind {
  readonly sizeBytes: number;
  /** `u` of `u"text"`. */
  readonly prefix: string;
  /** Unsigned bytes are data more often than text: a zero among them does not end it. */
  readonly isData?: boolean;
}

/**
 * By encoding, or by the name of a typedef on the way to the type: in C `wchar_t` is an int by another name.
 */
export function characterKind(type: Type): CharacterKind | undefined {
  let at = type;
  for (let layer = 0; layer < 64; layer++) {
    if (at.kind === 'alias' || at.kind === 'base') {
      const prefix = WIDE_NAMES[at.name];
      if (prefix !== undefined) return { prefix, sizeBytes: prefix === '' ? 1 : prefix === 'u' ? 2 : 4 };
    }
    if (at.kind === 'alias' || at.kind === 'qualified') at = at.target;
    else break;
  }
  if (at.kind !== 'base') return undefined;
  const { encoding, sizeBytes } = at;
  if (encoding === DW_ATE.UTF) return { sizeBytes, prefix: '' }; // Rust's char, C++'s char8_t
  const isChar = encoding === DW_ATE.signed_char || encoding === DW_ATE.unsigned_char;
  if (!isChar || sizeBytes !== 1) return undefined;
  return { sizeBytes, prefix: '', isData: encoding === DW_ATE.unsigned_char };
}

const WIDE_NAMES: Readonly<Record<string, string>> = {
  wchar_t: 'L',
  char8_t: '',
  char16_t: 'u',
  char32_t: 'U',
};

/** `97 'a'`; the number may be negative where the code is not. */
export function characterText(number: bigint, code: bigint, kind: CharacterKind): string {
  const letter = Number(code);
  const quoted = letter === 39 ? "\\'" : escaped(letter, kind.sizeBytes > 1);
  return `${number} ${kind.prefix}'${quoted}'`;
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

function escaped(code: number, isWide: boolean): string {
  const named = NAMED_ESCAPES.get(code);
  if (named !== undefined) return named;
  if (code >= 0x20 && code < 0x7f) return String.fromCharCode(code);
  const isLetter = code >= 0xa0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
  if (isLetter && (isWide || code > 0xff)) return String.fromCodePoint(code);
  return `\\${code.toString(8).padStart(3, '0')}`;
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** A string of bytes: UTF-8 as its letters when it is valid, else with octal escapes. */
export function quotedBytes(bytes: Uint8Array): string {
  try {
    return quoted(
      Array.from(utf8.decode(bytes), (letter) => letter.codePointAt(0) ?? 0),
      true,
    );
  } catch {
    return quoted([...bytes], false); // not UTF-8: byte by byte
  }
}

function quoted(codes: readonly number[], isWide: boolean): string {
  return `"${codes.map((code) => (code === 34 ? '\\"' : escaped(code, isWide))).join('')}"`;
}

/** Text from memory, and whether it goes on after what was read. */
export interface ReadText {
  readonly units: Uint8Array;
  readonly isCut: boolean;
}

/**
 * Up to the zero at its end. In small steps, so that a string at the end of mapped memory is still shown;
 * undefined when none of it is.
 */
export async function readText(
  world: ValueWorld,
  address: bigint,
  unitBytes: number,
  maxUnits = MAX_STRING,
): Promise<ReadText | undefined> {
  const limit = maxUnits * unitBytes;
  const bytes = new Uint8Array(limit + CHUNK_BYTES);
  let length = 0;
  while (length < limit) {
    const at = address + BigInt(length);
    const misaligned = Number(at % BigInt(CHUNK_BYTES));
    const step = misaligned % unitBytes === 0 ? CHUNK_BYTES - misaligned : unitBytes;
    const chunk = await world.read(at, step);
    if (chunk === undefined)
      return length === 0 ? undefined : { units: bytes.subarray(0, length), isCut: true };
    bytes.set(chunk, length);
    const end = endOfText(bytes.subarray(0, length + chunk.length), unitBytes, length);
    length += chunk.length;
    if (end !== undefined) return { units: bytes.subarray(0, Math.min(end, limit)), isCut: end > limit };
  }
  return { units: bytes.subarray(0, limit), isCut: true };
}

/** Where the first unit of nothing but zeros begins, from `start`. */
export function endOfText(bytes: Uint8Array, unitBytes: number, start = 0): number | undefined {
  for (let at = start; at + unitBytes <= bytes.length; at += unitBytes)
    if (bytes.subarray(at, at + unitBytes).every((byte) => byte === 0)) return at;
  return undefined;
}

/** `"hello"`, `u"hi"...` */
export function textOf({ units, isCut }: ReadText, kind: CharacterKind, littleEndian: boolean): string {
  const text =
    kind.sizeBytes === 1 ? quotedBytes(units) : quoted(wideCodes(units, kind.sizeBytes, littleEndian), true);
  return `${kind.prefix}${text}${isCut ? '...' : ''}`;
}

/** Code points of UTF-16 or UTF-32. */
function wideCodes(bytes: Uint8Array, unitBytes: number, littleEndian: boolean): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const codes: number[] = [];
  for (let at = 0; at + unitBytes <= bytes.length; at += unitBytes) {
    const code = unitBytes === 2 ? view.getUint16(at, littleEndian) : view.getUint32(at, littleEndian);
    const before = codes.at(-1) ?? 0;
    const isPair = unitBytes === 2 && before >= 0xd800 && before < 0xdc00 && code >= 0xdc00 && code < 0xe000;
    if (isPair) codes[codes.length - 1] = 0x10000 + ((before - 0xd800) << 10) + (code - 0xdc00);
    else codes.push(code);
  }
  return codes;
}

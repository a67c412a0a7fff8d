/** C's own types, for casts in programs that never mention them. */
import { DW_ATE } from '../../dwarf/constants.ts';
import { type Type, VOID } from './type.ts';

/**
 * `unsigned long`, `long unsigned int`, `char`, …; undefined for names that are not built in. LP64 or ILP32
 * by the address size.
 */
export function builtinType(name: string, addressSize: number): Type | undefined {
  const words = name.split(' ');
  if (!words.every((word) => WORDS.has(word))) return undefined;
  const has = (word: string): boolean => words.includes(word);
  const unsigned = has('unsigned');
  const base = (sizeBytes: number, encoding: number): Type => ({ kind: 'base', name, encoding, sizeBytes });
  const integer = (sizeBytes: number): Type => base(sizeBytes, unsigned ? DW_ATE.unsigned : DW_ATE.signed);
  if (has('void')) return VOID;
  if (has('bool') || has('_Bool')) return base(1, DW_ATE.boolean);
  if (has('_Complex')) return complexType(name, words);
  if (has('float')) return base(4, DW_ATE.float);
  if (has('double')) return base(has('long') ? LONG_DOUBLE[addressSize === 4 ? 4 : 8] : 8, DW_ATE.float);
  if (has('__int128')) return integer(16);
  if (has('char')) return base(1, unsigned ? DW_ATE.unsigned_char : DW_ATE.signed_char);
  if (has('short')) return integer(2);
  const longs = words.filter((word) => word === 'long').length;
  if (longs > 1) return integer(8);
  return integer(longs === 1 ? addressSize : 4);
}

const LONG_DOUBLE = { 4: 12, 8: 16 } as const;

function complexType(name: string, words: readonly string[]): Type {
  const part = words.includes('float') ? 4 : words.includes('long') ? 16 : 8;
  return { kind: 'base', name, encoding: DW_ATE.complex_float, sizeBytes: 2 * part };
}

/**
 * Types that most programs have and a debugger knows without them: `uint64_t` and `size_t` of <stdint.h>,
 * Rust's own `u64`, `usize`, `f32` in its programs.
 */
export function familiarType(name: string, addressSize: number, isRust: boolean): Type | undefined {
  const base = (encoding: number, sizeBytes: number): Type => ({ kind: 'base', name, encoding, sizeBytes });
  const rust = isRust ? /^([uif])(8|16|32|64|128|size)$/.exec(name) : null;
  const [, sign, width] = rust ?? /^(u?)int(8|16|32|64|ptr)_t$/.exec(name) ?? [];
  if (width === undefined) return name === 'size_t' ? base(DW_ATE.unsigned, addressSize) : undefined;
  const sizeBytes = width === 'size' || width === 'ptr' ? addressSize : Number(width) / 8;
  if (sign === 'f') return sizeBytes === 4 || sizeBytes === 8 ? base(DW_ATE.float, sizeBytes) : undefined;
  return base(sign === 'u' ? DW_ATE.unsigned : DW_ATE.signed, sizeBytes);
}

const WORDS = new Set([
  ...['void', 'char', 'short', 'int', 'long', 'float', 'double', 'signed', 'unsigned', '_Bool', 'bool'],
  ...['__int128', '_Complex'],
]);

/**
 * `long` for the compiler's `long int`, `unsigned long` for `long unsigned int`: as programmers write them.
 */
export function plainName(name: string): string {
  return PLAIN_NAMES.get(name) ?? name;
}

const PLAIN_NAMES: ReadonlyMap<string, string> = new Map([
  ['short int', 'short'],
  ['short unsigned int', 'unsigned short'],
  ['unsigned short int', 'unsigned short'],
  ['long int', 'long'],
  ['long unsigned int', 'unsigned long'],
  ['unsigned long int', 'unsigned long'],
  ['long long int', 'long long'],
  ['long long unsigned int', 'unsigned long long'],
  ['unsigned long long int', 'unsigned long long'],
]);

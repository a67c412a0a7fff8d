/** C's own types, for casts in programs that never mention them. */
import { DW_ATE } from '../dwarf/constants.ts';
import { type Type, VOID } from './types.ts';

/** `unsigned long`, `long unsigned int`, `char`, …; undefined for names that are not built in. LP64 or ILP32 by the address size. */
export function builtinType(name: string, addressSize: number): Type | undefined {
  const words = name.split(' ');
  if (!words.every((word) => WORDS.has(word))) return undefined;
  const has = (word: string): boolean => words.includes(word);
  const unsigned = has('unsigned');
  const base = (sizeBytes: number, encoding: number): Type => ({ kind: 'base', name, encoding, sizeBytes });
  const integer = (sizeBytes: number): Type => base(sizeBytes, unsigned ? DW_ATE.unsigned : DW_ATE.signed);
  if (has('void')) return VOID;
  if (has('bool') || has('_Bool')) return base(1, DW_ATE.boolean);
  if (has('float')) return base(4, DW_ATE.float);
  if (has('double')) return base(has('long') ? 16 : 8, DW_ATE.float);
  if (has('char')) return base(1, unsigned ? DW_ATE.unsigned_char : DW_ATE.signed_char);
  if (has('short')) return integer(2);
  const longs = words.filter((word) => word === 'long').length;
  if (longs > 1) return integer(8);
  return integer(longs === 1 ? addressSize : 4);
}

const WORDS = new Set([
  ...['void', 'char', 'short', 'int', 'long', 'float', 'double', 'signed', 'unsigned', '_Bool', 'bool'],
]);

/** `long` for the compiler's `long int`, `unsigned long` for `long unsigned int`: as programmers write them. */
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

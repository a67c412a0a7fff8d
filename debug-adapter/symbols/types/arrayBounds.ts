/**
 * Dimensions of arrays: how many elements, and which index is the first. DWARF 5 §5.13; defaults by language,
 * table 7.17.
 */
import { DW_AT, DW_ATE, DW_LANG, DW_ORD, DW_TAG } from '../../dwarf/constants.ts';
import type { Die } from '../../dwarf/unit.ts';
import { childrenOf } from '../units/dieTree.ts';
import { type ArrayType, type Type, strip } from './type.ts';

export type Dimension = Pick<ArrayType, 'count' | 'bound' | 'lowerBound'>;

type TypeOf = (die: Die) => Type;

const ONE_BASED = new Set<number>([
  ...[DW_LANG.Ada83, DW_LANG.Ada95, DW_LANG.Cobol74, DW_LANG.Cobol85, DW_LANG.Fortran77, DW_LANG.Fortran90],
  ...[DW_LANG.Fortran95, DW_LANG.Fortran03, DW_LANG.Fortran08, DW_LANG.Pascal83, DW_LANG.Modula2],
  ...[DW_LANG.Modula3, DW_LANG.PLI, DW_LANG.Julia],
]);

const COLUMN_MAJOR = new Set<number>([
  ...[DW_LANG.Fortran77, DW_LANG.Fortran90, DW_LANG.Fortran95, DW_LANG.Fortran03, DW_LANG.Fortran08],
]);

/** Outermost first, as elements are in memory. */
export function dimensionsOf(array: Die, typeOf: TypeOf): Dimension[] {
  const found: Dimension[] = [];
  for (const child of childrenOf(array)) {
    if (child.tag === DW_TAG.subrange_type) found.push(subrange(child, typeOf));
    else if (child.tag === DW_TAG.enumeration_type) found.push(enumerated(child));
  }
  if (found.length === 0) found.push({ count: undefined });
  return isColumnMajor(array) ? found.reverse() : found;
}

/**
 * Bits from one element to the next, where the entry says so: more, or fewer, than the size of their type
 * (§5.5).
 */
export function strideOf(array: Die): number | undefined {
  const bytes = array.number(DW_AT.byte_stride);
  return bytes === undefined ? array.number(DW_AT.bit_stride) : 8 * bytes;
}

/** The first index. One that a frame computes counts as 0 here. */
export function lowerBoundOf(dimension: Die, typeOf: TypeOf): number {
  if (dimension.has(DW_AT.lower_bound)) return Number(boundValue(dimension, DW_AT.lower_bound, typeOf) ?? 0n);
  return ONE_BASED.has(dimension.unit.root.language ?? 0) ? 1 : 0;
}

function subrange(die: Die, typeOf: TypeOf): Dimension {
  if (isComputed(die, DW_AT.lower_bound) || isComputed(die, upperAttribute(die)))
    return { count: undefined, bound: die };
  const lowerBound = lowerBoundOf(die, typeOf);
  return { count: elementCount(die, lowerBound, typeOf), ...(lowerBound !== 0 && { lowerBound }) };
}

/** An array with an element for each enumerator. */
function enumerated(die: Die): Dimension {
  const values = [...childrenOf(die)].flatMap((child) =>
    child.tag === DW_TAG.enumerator ? (child.number(DW_AT.const_value) ?? []) : [],
  );
  if (values.length === 0) return { count: undefined };
  const lowerBound = values.reduce((least, value) => Math.min(least, value));
  const last = values.reduce((most, value) => Math.max(most, value));
  return { count: last - lowerBound + 1, ...(lowerBound !== 0 && { lowerBound }) };
}

function elementCount(die: Die, lowerBound: number, typeOf: TypeOf): number | undefined {
  const count = die.number(DW_AT.count);
  if (count !== undefined) return count;
  const upper = boundValue(die, DW_AT.upper_bound, typeOf);
  if (upper === undefined) return undefined;
  // gcc wrote [0] as an upper bound of -1, in 4 or 8 bytes; in one byte 0xff is 255.
  const isBelowZero = upper === 0xffff_ffffn || upper === 0xffff_ffff_ffff_ffffn;
  const between = (isBelowZero ? -1 : Number(upper)) - lowerBound + 1;
  return between >= 0 && between <= Number.MAX_SAFE_INTEGER ? between : 0;
}

/** A constant; the type of the index says whether a short one is signed. */
function boundValue(die: Die, attribute: number, typeOf: TypeOf): bigint | undefined {
  const value = die.bigint(attribute);
  if (value === undefined || value < 0n || !die.has(DW_AT.type)) return value;
  const index = strip(typeOf(die));
  const isSigned = index.kind === 'base' && index.encoding === DW_ATE.signed;
  return isSigned ? BigInt.asIntN(8 * index.sizeBytes, value) : value;
}

function upperAttribute(die: Die): number {
  return die.has(DW_AT.count) ? DW_AT.count : DW_AT.upper_bound;
}

/** A bound that only a frame knows: an expression, or the variable that holds it. */
export function isComputed(die: Die, attribute: number): boolean {
  if (!die.has(attribute) || die.bigint(attribute) !== undefined) return false;
  return die.block(attribute) !== undefined || die.refOffset(attribute) !== undefined;
}

/** §5.5: by its attribute, else the language's default. */
function isColumnMajor(array: Die): boolean {
  const ordering = array.number(DW_AT.ordering);
  return ordering === undefined
    ? COLUMN_MAJOR.has(array.unit.root.language ?? 0)
    : ordering === DW_ORD.col_major;
}

/** Records of Ada and Pascal whose members depend on a discriminant: their description (DWARF 5 §5.7.10). */
import { DW_AT, DW_DSC, DW_TAG } from '../../dwarf/constants.ts';
import { Reader } from '../../dwarf/reader.ts';
import type { Die } from '../../dwarf/unit.ts';
import { childrenOf } from '../units/dieTree.ts';
import { isSignedType } from './scalarTypes.ts';
import { type Member, type Type, type VariantCase, type VariantPart, strip } from './type.ts';

/** Variants inside variants; deeper is broken debug information. */
const MAX_DEPTH = 16;
const MAX_RANGES = 10_000;

/** How the reader of types reads what is in a variant. */
export interface MemberReader {
  member(die: Die): Member;
  typeOf(die: Die): Type;
}

/** The variant parts among the children of a structure or of a case. */
export function readVariantParts(parent: Die, reader: MemberReader, depth = 0): VariantPart[] {
  if (depth > MAX_DEPTH) return [];
  return [...childrenOf(parent)]
    .filter(({ tag }) => tag === DW_TAG.variant_part)
    .map((part) => readPart(part, reader, depth));
}

function readPart(part: Die, reader: MemberReader, depth: number): VariantPart {
  const discriminant = part.ref(DW_AT.discr);
  const hasSign = discriminant !== undefined && isSignedType(strip(reader.typeOf(discriminant)));
  const cases = [...childrenOf(part)]
    .filter(({ tag }) => tag === DW_TAG.variant)
    .map((variant): VariantCase => ({
      ranges: discriminantRanges(variant, hasSign),
      members: [...childrenOf(variant)]
        .filter(({ tag }) => tag === DW_TAG.member)
        .map((child) => reader.member(child)),
      parts: readVariantParts(variant, reader, depth + 1),
    }));
  return { discriminant: discriminant && reader.member(discriminant), cases };
}

function discriminantRanges(variant: Die, hasSign: boolean): VariantCase['ranges'] {
  const list = variant.block(DW_AT.discr_list);
  if (list !== undefined) return listedRanges(list, hasSign, variant);
  const value = variant.bigint(DW_AT.discr_value, hasSign);
  return value === undefined ? [] : [{ low: value, high: value }];
}

/** Labels and ranges as LEB128 (§7.20). */
function listedRanges(list: Uint8Array, hasSign: boolean, { unit }: Die): VariantCase['ranges'] {
  const reader = new Reader(list, unit.file.littleEndian, 'discriminant list', 0);
  const value = (): bigint => (hasSign ? reader.slebBig() : reader.ulebBig());
  const ranges: { low: bigint; high: bigint }[] = [];
  while (!reader.atEnd && ranges.length < MAX_RANGES) {
    const isRange = reader.u8() === DW_DSC.range;
    const low = value();
    ranges.push({ low, high: isRange ? value() : low });
  }
  return ranges;
}

/**
 * Every member of every case, with the values it is present for: for types, where no object says which it is.
 */
export function* possibleMembers(parts: readonly VariantPart[]): Generator<{
  readonly member: Member;
  readonly part: VariantPart;
  readonly ranges: VariantCase['ranges'];
}> {
  for (const part of parts) {
    for (const { ranges, members, parts: inner } of part.cases) {
      for (const member of members) yield { member, part, ranges };
      yield* possibleMembers(inner);
    }
  }
}

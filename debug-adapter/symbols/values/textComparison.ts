/**
 * Text of values, for comparing with string literals: C's arrays and pointers to characters, Rust's str and
 * String.
 */
import { rustView } from './rustValue.ts';
import { characterKind, endOfText, readText } from './stringText.ts';
import type { TargetValue } from './targetValue.ts';

/** More than this is not compared: two texts that are alike for that long count as different. */
const MAX_TEXT = 4096;

/** Undefined for what is not text. Throws QueryError when it cannot be read. */
export async function comparedText(value: TargetValue): Promise<string | undefined> {
  const { bare, world } = value;
  if (bare.kind === 'array') {
    const kind = characterKind(bare.element);
    if (kind?.sizeBytes !== 1) return undefined;
    const bytes = await value.bytes(Math.min(bare.count ?? 0, MAX_TEXT));
    return decoded(bytes.subarray(0, endOfText(bytes, 1)));
  }
  if (bare.kind === 'pointer') {
    if (bare.sigil !== '*') return comparedText(await value.dereference());
    if (characterKind(bare.target)?.sizeBytes !== 1) return undefined;
    const read = await readText(world, await value.unsigned(), 1, MAX_TEXT);
    return read && decoded(read.units);
  }
  const view = await rustView(value);
  if (view?.kind !== 'text') return undefined;
  const bytes = await world.read(view.address, Math.min(view.lengthBytes, MAX_TEXT));
  return bytes && decoded(bytes);
}

/** Byte by byte: invalid text has to compare equal to itself only. */
function decoded(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
}

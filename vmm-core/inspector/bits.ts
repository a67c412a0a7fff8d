/** Registers for people: bits by the names that the specification gives them, which are those in abi/. */
import type { BitsReport } from '../protocol/devices.ts';
import { type Hex, hex } from '../protocol/hex.ts';

/** Names of masks by their value, or of bits by their number. */
export type BitNames = ReadonlyMap<number, string>;

/** Of the constants of a table that begin with `prefix`, from the lowest up. */
export function namesIn(table: Readonly<Record<string, unknown>>, prefix: string): BitNames {
  const named = Object.entries(table).flatMap(([name, value]) =>
    name.startsWith(prefix) && typeof value === 'number' ? [[value, name] as const] : [],
  );
  return new Map(named.sort(([one], [other]) => one - other));
}

/** A register of masks. Bits without a name are left out of `set`. */
export function bitsReport(value: number, masks: BitNames): BitsReport {
  const set = [...masks].filter(([mask]) => (value & mask) !== 0).map(([, name]) => name);
  return { value: hex(value >>> 0), set };
}

/** A register in two halves. */
export function hex64(low: number, high: number): Hex {
  return hex((BigInt(high) << 32n) | BigInt(low));
}

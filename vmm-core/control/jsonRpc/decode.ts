/**
 * Parameters are decoded and checked at the edge: whatever comes through the socket, a handler sees what its
 * type says, and the client gets a sentence that names the field. These are the kinds of fields; each topic's
 * file combines them into its parameters.
 */
import { UserError } from '../../errors.ts';

/** Hex of protocol/. */
export const HEX_64 = /^0x[0-9a-f]{1,16}$/i;

const MAX_SHOWN = 60;

export type Fields = Readonly<Record<string, unknown>>;

export function fields(value: unknown, what = 'params'): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new UserError(`${what} must be an object, not ${shown(value)}`);
  return value as Fields;
}

export function list(value: unknown, what: string, atMost: number): readonly unknown[] {
  if (!Array.isArray(value)) throw new UserError(`${what} must be a list, not ${shown(value)}`);
  if (value.length > atMost) throw new UserError(`${what}: at most ${atMost} entries, not ${value.length}`);
  return value;
}

export function integer(it: Fields, key: string): number {
  const value = it[key];
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  throw new UserError(`${key} must be a whole number, not ${shown(value)}`);
}

/** Short enough to be shown. */
export function text(it: Fields, key: string): string {
  const value = it[key];
  if (typeof value === 'string' && value.length <= MAX_SHOWN) return value;
  throw new UserError(`${key} must be a text of at most ${MAX_SHOWN} characters, not ${shown(value)}`);
}

export function flag(it: Fields, key: string): boolean {
  const value = it[key] ?? false;
  if (typeof value === 'boolean') return value;
  throw new UserError(`${key} must be true or false, not ${shown(value)}`);
}

export function bytes(it: Fields, key: string): Uint8Array {
  const value = it[key];
  if (value instanceof Uint8Array) return value;
  throw new UserError(`${key} must be bytes`);
}

export function address(value: unknown): bigint {
  if (typeof value === 'string' && HEX_64.test(value)) return BigInt(value);
  const text = typeof value === 'string' ? shortened(value) : shown(value);
  throw new UserError(`${text} is not an address: write it as 0x… with up to 16 digits`);
}

/** A value of any kind, size and depth in a message. */
export function shown(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? 'nothing');
  return text.length > MAX_SHOWN ? `${shortened(text)}…` : text;
}

export function shortened(text: string): string {
  return text.slice(0, MAX_SHOWN);
}

/**
 * Turns a message into what a handler wants: small decoders, and what is built from them. A value of the
 * wrong kind is answered with a sentence that names it.
 */
import { USER_ERROR, UserError } from './errors.ts';

/** The decoded value. Throws UserError naming `at`. */
export type Decode<T> = (value: unknown, at: string) => T;

/** An object whose members are not checked yet. */
export type Fields = Readonly<Record<string, unknown>>;

/** `?` after a key's name: it may be absent. */
type Shape = Readonly<Record<string, Decode<unknown>>>;
type DecodedBy<D> = D extends Decode<infer T> ? T : never;

/** What a shape decodes to. */
export type Decoded<S extends Shape> = {
  [K in keyof S as K extends `${string}?` ? never : K]: DecodedBy<S[K]>;
} & {
  [K in keyof S as K extends `${infer Name}?` ? Name : never]?: Exclude<DecodedBy<S[K]>, undefined>;
};

const MAX_ITEMS = 10_000;

export const flag: Decode<boolean> = (value, at) =>
  typeof value === 'boolean' ? value : wrong(at, 'true or false', value);

export const fields: Decode<Fields> = (value, at) =>
  isFields(value) ? value : wrong(at, 'an object', value);

/** An object with at least these keys. `null` counts as absent: some clients write it. */
export function shape<S extends Shape>(keys: S): Decode<Decoded<S>>;
export function shape(keys: Shape): Decode<object> {
  const known = Object.entries(keys).map(([key, decode]) => {
    const optional = key.endsWith('?');
    return { key: optional ? key.slice(0, -1) : key, optional, decode };
  });
  return (value, at) => {
    const given = fields(value, at);
    const decoded: Record<string, unknown> = { ...given };
    for (const { key, optional, decode } of known) {
      const member = Object.hasOwn(given, key) ? (given[key] ?? undefined) : undefined;
      if (member === undefined && !optional) throw invalid(`${at}: ${key} is missing`);
      const meant = member === undefined ? undefined : decode(member, `${at}: ${key}`);
      if (meant === undefined) delete decoded[key];
      else decoded[key] = meant;
    }
    return decoded;
  };
}

export function list<T>(item: Decode<T>): Decode<T[]> {
  return (value, at) => {
    if (!Array.isArray(value)) return wrong(at, 'a list', value);
    if (value.length > MAX_ITEMS) throw invalid(`${at} has ${value.length} items: at most ${MAX_ITEMS}`);
    return value.map((it: unknown, i) => item(it, `${at}[${i}]`));
  };
}

export function whole(least: number, most: number): Decode<number> {
  return (value, at) =>
    typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most
      ? value
      : wrong(at, `a whole number from ${least} to ${most}`, value);
}

export function textUpTo(most: number): Decode<string> {
  return (value, at) => {
    if (typeof value !== 'string') return wrong(at, 'a text', value);
    if (value.length > most)
      throw invalid(`${at} has ${value.length} characters: at most ${most} are accepted`);
    return value;
  };
}

/** One of the words a member can be. Any other counts as absent: a later DAP may have more. */
export function word<const W extends string>(words: readonly W[]): Decode<W | undefined> {
  return (value, at) => {
    if (typeof value !== 'string') return wrong(at, 'a text', value);
    return words.find((it) => it === value);
  };
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function wrong(at: string, expected: string, value: unknown): never {
  throw invalid(`${at} must be ${expected}, not ${describe(value)}`);
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  return typeof value === 'number' ? String(value) : (JSON.stringify(value)?.slice(0, 100) ?? 'nothing');
}

function invalid(message: string): UserError {
  return new UserError(USER_ERROR.request, message);
}
